// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channels} from "../../src/Channels.sol";
import {ChannelId, Claim, Payee, State, Status, Terms} from "../../src/interfaces/IChannels.sol";
import {Wallet} from "../Mocks.sol";
import {vm} from "../Vm.sol";
import {Coin} from "./Coin.sol";

/// @notice What ought to be: every channel's state and everybody's money, kept beside the contract by arithmetic of its
/// own, and the invariants, which compare.
abstract contract Books {
    /// @dev A channel as it ought to be. `bank` is the rate bound said in another way: a bucket of token units that
    /// `cap` fills every second and `window` bounds; no claim may take more than is in it.
    struct Book {
        bytes terms;
        ChannelId id;
        Coin coin;
        uint256 coinAt;
        address publisher;
        address payout;
        uint256 payment; // equal for channels whose payment is the same
        uint256 cap;
        uint256 window;
        uint256 notice;
        uint256 opened;
        uint256 deposited;
        uint256 claimed;
        uint256 spentUntil;
        uint256 noticeEnd;
        uint256 bank;
        uint256 bankAt;
        bool closed;
    }

    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant SIGNER_KEY = 0x516E;
    uint256 internal constant CALL_GAS = 30_000_000; // a bad token may not have all the gas of a test
    uint256 internal constant REENTRANT = 5; // among the coins
    address internal constant ELSEWHERE = address(0xE15E);

    Channels internal channels;
    Coin[] internal coins;
    uint256 public sound; // the first coins, whose balances change only by transfers
    uint256 public touched; // the coin that the latest act was about
    uint256[2] internal publisherKeys = [uint256(0xA11CE), 0xB0B];
    address[7] internal people; // two publishers, provider, two payees, a stranger, elsewhere
    address internal signer = vm.addr(SIGNER_KEY);
    Wallet internal wallet = new Wallet(vm.addr(SIGNER_KEY));

    Book[] internal books;
    mapping(Coin => mapping(address => uint256)) internal wealth; // balance and credit together
    mapping(Coin => uint256) internal donated;

    constructor() {
        vm.warp(START);
        channels = new Channels();
        people = [
            vm.addr(publisherKeys[0]),
            vm.addr(publisherKeys[1]),
            address(0xBEEF),
            address(1001),
            address(1002),
            address(0x57A6),
            ELSEWHERE
        ];
        coins.push(new Coin(Coin.Habit.None, 6));
        coins.push(new Coin(Coin.Habit.None, 18));
        coins.push(new Coin(Coin.Habit.NoAnswer, 6));
        coins.push(new Coin(Coin.Habit.Revert, 8));
        coins.push(new Coin(Coin.Habit.False, 18));
        coins.push(new Coin(Coin.Habit.Reenter, 18));
        coins.push(new Coin(Coin.Habit.BurnGas, 18));
        coins.push(new Coin(Coin.Habit.ReturnBomb, 18));
        sound = coins.length;
        coins.push(new Coin(Coin.Habit.Fee, 18));
        coins.push(new Coin(Coin.Habit.Shrink, 18));
        for (uint256 i; i < coins.length; ++i) {
            for (uint256 j; j < people.length - 1; ++j) {
                endow(coins[i], people[j]);
            }
            endow(coins[i], address(coins[i])); // the one that calls back has channels of its own
            coins[i].setBadTo(people[i % 4], true);
        }
    }

    function endow(Coin coin, address account) private {
        coin.mint(account, 1e40);
        wealth[coin][account] = 1e40;
        vm.prank(account);
        coin.approve(address(channels), type(uint256).max);
    }

    /* BOOKKEEPING */

    function statusOf(Book storage book) internal view returns (Status) {
        if (book.closed) return Status.Closed;
        if (book.noticeEnd == 0) return Status.Open;
        return block.timestamp < book.noticeEnd ? Status.Notice : Status.Ended;
    }

    function termsOf(Book storage book) internal view returns (Terms memory) {
        return abi.decode(book.terms, (Terms));
    }

    /// @dev What a voucher over `total` ought to be paid now.
    function due(Book storage book, uint256 total) internal view returns (uint256) {
        if (book.closed || statusOf(book) == Status.Ended) return 0;
        uint256 most = total < book.deposited ? total : book.deposited;
        if (most <= book.claimed) return 0;
        uint256 allowed = book.cap * unspent(book);
        return most - book.claimed < allowed ? most - book.claimed : allowed;
    }

    function unspent(Book storage book) private view returns (uint256) {
        uint256 time = block.timestamp - book.spentUntil;
        return time < book.window ? time : book.window;
    }

    /// @dev Books that a claim paid `amount`, which fails if it was more than the rate or the deposit allows.
    function bookClaim(Book storage book, uint256 amount) internal {
        if (amount == 0) return;
        uint256 bank = book.bank + book.cap * (block.timestamp - book.bankAt);
        if (bank > book.cap * book.window) bank = book.cap * book.window;
        require(amount <= bank, "paid more than cap and window allow");
        (book.bank, book.bankAt) = (bank - amount, block.timestamp);
        book.spentUntil = block.timestamp - unspent(book) + (amount + book.cap - 1) / book.cap;
        share(book, book.claimed, book.claimed + amount);
        book.claimed += amount;
    }

    /// @dev Gives everybody their shares of what the total grew by.
    function share(Book storage book, uint256 from, uint256 to) private {
        Payee[] memory payees = termsOf(book).payment.payees;
        uint256[] memory before = divide(payees, from);
        uint256[] memory now_ = divide(payees, to);
        uint256 sum;
        for (uint256 i; i < now_.length; ++i) {
            require(now_[i] >= before[i], "a share shrinks");
            require(i == payees.length || now_[i] >= to * payees[i].share / 1e6, "less than the floor of a share");
            sum += now_[i] - before[i];
            wealth[book.coin][i == payees.length ? book.payout : payees[i].account] += now_[i] - before[i];
        }
        require(sum == to - from, "shares don't sum to the claim");
    }

    /// @dev How the specification divides a total; the provider is last.
    function divide(Payee[] memory payees, uint256 rest) private pure returns (uint256[] memory parts) {
        parts = new uint256[](payees.length + 1);
        uint256 left = 1e6;
        for (uint256 i; i < payees.length; ++i) {
            parts[i] = rest * payees[i].share / left;
            rest -= parts[i];
            left -= payees[i].share;
        }
        parts[payees.length] = rest;
    }

    function bookDeposit(Book storage book, address from, uint256 amount) internal {
        book.deposited += amount;
        wealth[book.coin][from] -= amount;
    }

    /// @dev Books a closing: the publisher alone is refunded.
    function bookClose(Book storage book) internal {
        book.closed = true;
        wealth[book.coin][book.publisher] += book.deposited - book.claimed;
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function voucher(Book storage book, uint256 total) internal view returns (Claim memory) {
        Terms memory terms = termsOf(book);
        return Claim({
            agreement: channels.hashAgreement(terms.agreement),
            cap: terms.cap,
            window: terms.window,
            total: total,
            signature: sign(SIGNER_KEY, channels.voucherDigest(book.id, total))
        });
    }

    /* INVARIANTS */

    /// @dev Every channel, whatever its token, is to the bit what its own history makes it: so no token and no stranger
    /// touches another's, a tombstone stays one, and a notice ends when it was said to. None paid more than its deposit,
    /// nor more than the cap since its opening, nor spent the future.
    function checkChannels() external view returns (uint256[] memory owed) {
        owed = new uint256[](coins.length);
        for (uint256 i; i < books.length; ++i) {
            Book storage book = books[i];
            State memory state = channels.state(book.id);
            require(state.claimed <= state.deposited, "claimed above the deposit");
            require(state.claimed <= book.cap * (block.timestamp - book.opened), "claimed above the cap");
            require(state.spentUntil <= block.timestamp, "spent the future");
            require(state.deposited == book.deposited, "another's deposit changed");
            require(state.claimed == book.claimed, "claimed is not what was paid");
            require(state.spentUntil == book.spentUntil, "time spent is not what was paid for");
            if (book.closed) {
                require(state.noticeEnd == type(uint40).max, "a tombstone moved");
                continue;
            }
            require(state.noticeEnd == book.noticeEnd, "a notice moved");
            owed[book.coinAt] += state.deposited - state.claimed;
        }
    }

    /// @dev What the contract owes in a sound token is what it has, to the unit, apart from what was given to it; and
    /// everybody has, paid or credited, what claims and refunds make it: so shares are exact, and only publishers are
    /// refunded.
    function checkCoin(uint256 which, uint256 owed) external view {
        Coin coin = coins[which];
        for (uint256 i; i <= people.length; ++i) {
            address account = i < people.length ? people[i] : address(coin);
            uint256 credit = channels.credit(address(coin), account);
            owed += credit;
            require(coin.balanceOf(account) + credit == wealth[coin][account], "money is not where it belongs");
        }
        require(owed + donated[coin] == coin.balanceOf(address(channels)), "insolvent");
    }

    /// @dev Nothing that a token did while it was called came through.
    function checkReentry() external view {
        require(coins[REENTRANT].reentered() == 0, "a token called back");
    }
}
