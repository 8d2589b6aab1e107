// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Agreement,
    ChannelId,
    Claim,
    IChannels,
    Payee,
    Payment,
    Permit,
    Status,
    Terms
} from "../../src/interfaces/IChannels.sol";
import {vm} from "../Vm.sol";
import {Coin} from "./Coin.sol";
import {Exits} from "./Exits.sol";

/// @notice Does whatever anybody may do, and much that nobody may, in any order. After each act both sides of its
/// channel try their exits.
/// @dev Each act finds a channel on which it can do something, so that few calls are wasted; what was done is counted.
contract World is Exits {
    string[13] public acts = [
        "open",
        "deposit",
        "claim",
        "claimBatch",
        "release",
        "notice",
        "withdraw",
        "close",
        "withdrawCredit",
        "spoil",
        "meddle",
        "reenter",
        "pass"
    ];
    mapping(string act => uint256) public done;
    uint256 public calls;
    uint256 public useful;

    /* WHO AND WHERE */

    function did(string memory act) private {
        ++done[act];
        ++useful;
    }

    function count() external view returns (uint256) {
        return books.length;
    }

    /// @dev The fuzzer likes small numbers and old ones, which would open the same few kinds of channels.
    function mix(uint256 seed) private view returns (uint256) {
        return uint256(keccak256(abi.encode(seed, calls)));
    }

    /// @dev A channel in one of the wanted states, if there is one.
    function find(uint256 seed, bool open_, bool notice_, bool ended, bool closed)
        private
        view
        returns (bool found, uint256 i)
    {
        bool[5] memory wanted = [false, open_, notice_, ended, closed];
        for (uint256 n = books.length; n != 0; --n) {
            i = (seed % books.length + n) % books.length;
            if (wanted[uint256(statusOf(books[i]))]) return (true, i);
        }
        return (false, 0);
    }

    /// @dev A total that is worth claiming: a bit more, as much as the rate gives, all, far too much.
    function someTotal(Book storage book, uint256 seed) private view returns (uint256) {
        if (seed % 4 == 0) return book.claimed + 1 + (seed >> 8) % 1000;
        if (seed % 4 == 1) return book.claimed + 1 + (seed >> 8) % (book.deposited - book.claimed + 1);
        if (seed % 4 == 2) return book.deposited + (seed >> 8) % 1000;
        return type(uint256).max - (seed >> 8) % 1000;
    }

    /// @dev Only a token that eats all gas may make a call fail that ought to work, and only its own channels' calls.
    function mayFail(Book storage book) private view returns (bool) {
        return book.coin.habit() == Coin.Habit.BurnGas;
    }

    /* ACTS OF THE PARTIES */

    function open(uint256 seed) public {
        seed = mix(seed);
        ++calls;
        did("open");
        Terms memory terms = newTerms(seed);
        uint256 amount = seed % 7 == 0 ? type(uint88).max : 1 + (seed >> 16) % 1e24;
        address publisher = terms.agreement.publisher;
        ChannelId id;
        if (publisher != people[0] && publisher != people[1]) {
            vm.prank(publisher);
            id = channels.open{gas: CALL_GAS}(terms, amount);
        } else if (seed % 3 == 0) {
            vm.prank(publisher);
            id = channels.openWithPermit{gas: CALL_GAS}(terms, amount, noPermit());
        } else if (seed % 3 == 1) {
            uint256 key = publisherKeys[publisher == people[0] ? 0 : 1];
            bytes memory signature = sign(key, channels.openDigest(terms, amount, block.timestamp));
            vm.prank(people[5]);
            id = channels.openFor{gas: CALL_GAS}(terms, amount, block.timestamp, signature, noPermit());
        } else {
            vm.prank(publisher);
            id = channels.open{gas: CALL_GAS}(terms, amount);
        }
        record(seed, terms, id, amount);
    }

    function newTerms(uint256 seed) private view returns (Terms memory terms) {
        Coin coin = coins[(seed >> 200) % coins.length];
        bool own = coin.habit() == Coin.Habit.Reenter && seed % 2 == 0;
        Payee[] memory payees = new Payee[]((seed >> 8) % 3);
        for (uint256 i; i < payees.length; ++i) {
            payees[i] = Payee({account: people[3 + i], share: i == 0 ? 333_333 : 500_001});
        }
        terms.payment = Payment({
            token: address(coin),
            payout: own ? address(coin) : people[2],
            payees: payees,
            signer: (seed >> 9) % 4 == 0 ? address(wallet) : signer
        });
        terms.cap = [uint88(1), 7, 1e9, 1e20][(seed >> 10) % 4];
        terms.window = [uint40(1), 600, 1 days, 1 days][(seed >> 12) % 4];
        terms.agreement = Agreement({
            publisher: own ? address(coin) : people[(seed >> 14) % 2],
            app: 0,
            tariff: 0,
            quote: 0,
            notice: [uint40(1 hours), 1 hours, 2 hours, 30 days][(seed >> 15) % 4],
            salt: bytes32(books.length)
        });
    }

    function record(uint256 seed, Terms memory terms, ChannelId id, uint256 amount) private {
        Book storage book = books.push();
        book.terms = abi.encode(terms);
        book.id = id;
        book.coinAt = (seed >> 200) % coins.length;
        book.coin = coins[book.coinAt];
        (book.publisher, book.payout) = (terms.agreement.publisher, terms.payment.payout);
        book.payment = uint256(keccak256(abi.encode(terms.payment)));
        (book.cap, book.window, book.notice) = (terms.cap, terms.window, terms.agreement.notice);
        (book.opened, book.spentUntil, book.bankAt) = (block.timestamp, block.timestamp, block.timestamp);
        bookDeposit(book, book.publisher, amount);
        drill(books.length - 1);
    }

    function deposit(uint256 seed, uint256 who) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, true, true, false, false);
        if (!found) return open(seed);
        ++calls;
        Book storage book = books[i];
        Terms memory terms = termsOf(book);
        uint256 amount = 1 + (seed >> 8) % 1e20;
        if (amount > type(uint88).max - book.deposited) amount = type(uint88).max - book.deposited;
        if (amount == 0) return;
        did("deposit");
        address from = people[who % 6];
        vm.prank(from);
        if (who % 2 == 0) channels.deposit{gas: CALL_GAS}(terms, amount);
        else channels.depositWithPermit{gas: CALL_GAS}(terms, amount, noPermit());
        bookDeposit(book, from, amount);
        drill(i);
    }

    function claim(uint256 seed, uint256 who) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, true, true, false, false);
        if (!found) return open(seed);
        ++calls;
        Book storage book = books[i];
        Claim memory item = voucher(book, someTotal(book, seed >> 8));
        uint256 want = due(book, item.total);
        Terms memory terms = termsOf(book);
        require(channels.claimable(terms, item.total) == want, "claimable is not what is due");
        vm.prank(people[who % 6]);
        try channels.claim{gas: CALL_GAS}(terms.payment, item) returns (uint256 amount) {
            require(amount == want && amount != 0, "paid what is not due");
            bookClaim(book, amount);
            did("claim");
        } catch {
            require(want == 0 || mayFail(book), "what is due is not paid");
        }
        drill(i);
    }

    /// @dev A batch of up to four channels with one payment, among items that have to be skipped.
    function claimBatch(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 first) = find(seed, true, true, false, false);
        if (!found) return open(seed);
        ++calls;
        uint256[] memory which = new uint256[](4);
        uint256 n;
        for (uint256 i; i < books.length && n < 4; ++i) {
            if (books[i].payment == books[first].payment) which[n++] = i;
        }
        Claim[] memory items = new Claim[](n + 3);
        for (uint256 i; i < n; ++i) {
            items[i] = voucher(books[which[i]], someTotal(books[which[i]], seed >> (8 * i)));
        }
        items[n] = items[0]; // twice the same, which may pay what the rate left
        items[n + 1] = voucher(books[first], type(uint256).max);
        items[n + 1].signature = items[0].signature;
        items[n + 2] = voucher(books[first], type(uint256).max);
        items[n + 2].agreement = bytes32(seed);
        try channels.claimBatch{gas: CALL_GAS}(termsOf(books[first]).payment, items) returns (
            uint256[] memory amounts
        ) {
            uint256 sum;
            for (uint256 i; i < n; ++i) {
                require(amounts[i] == due(books[which[i]], items[i].total), "the batch pays what is not due");
                bookClaim(books[which[i]], amounts[i]);
                sum += amounts[i];
            }
            require(amounts[n] == due(books[which[0]], items[0].total), "the batch pays twice");
            bookClaim(books[which[0]], amounts[n]);
            require(amounts[n + 1] + amounts[n + 2] == 0, "the batch pays what nobody signed");
            if (sum != 0) did("claimBatch");
        } catch {
            require(mayFail(books[first]), "a batch fails");
        }
        drill(first);
    }

    function release(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, seed % 4 == 0, true, true, false); // rarely, or little would live
        if (!found) return open(seed);
        ++calls;
        Book storage book = books[i];
        uint256 total = someTotal(book, seed >> 8);
        if ((seed >> 16) % 4 == 0) total = book.claimed / 2;
        bytes memory signature = sign(SIGNER_KEY, channels.releaseDigest(book.id, total));
        try channels.release{gas: CALL_GAS}(termsOf(book), total, signature) {
            bookClaim(book, due(book, total));
            bookClose(book);
            did("release");
        } catch {
            require(mayFail(book), "a release fails");
        }
        drill(i);
    }

    function notice(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, true, false, false, false);
        if (!found) return open(seed);
        ++calls;
        did("notice");
        Book storage book = books[i];
        vm.prank(book.publisher);
        channels.notice(termsOf(book));
        book.noticeEnd = block.timestamp + book.notice;
        drill(i);
    }

    function withdraw(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, false, false, true, false);
        if (!found) return pass(seed);
        ++calls;
        did("withdraw");
        Book storage book = books[i];
        vm.prank(book.publisher);
        channels.withdraw{gas: CALL_GAS}(termsOf(book));
        bookClose(book);
        drill(i);
    }

    function close(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, seed % 4 == 0, true, true, false);
        if (!found) return open(seed);
        ++calls;
        did("close");
        Book storage book = books[i];
        vm.prank(book.payout);
        channels.close{gas: CALL_GAS}(termsOf(book));
        bookClose(book);
        drill(i);
    }

    function withdrawCredit(uint256 seed) external {
        seed = mix(seed);
        ++calls;
        for (uint256 k; k < coins.length * people.length; ++k) {
            uint256 n = (seed % 1e9 + k) % (coins.length * people.length);
            (Coin coin, address account) = (coins[n % coins.length], people[n / coins.length]);
            uint256 credit = channels.credit(address(coin), account);
            if (credit == 0) continue;
            touched = n % coins.length;
            vm.prank(account);
            try channels.withdrawCredit{gas: CALL_GAS}(address(coin), ELSEWHERE) returns (uint256 amount) {
                require(amount == credit, "another credit");
                wealth[coin][account] -= amount;
                wealth[coin][ELSEWHERE] += amount;
                did("withdrawCredit");
            } catch {
                require(uint256(coin.habit()) >= uint256(Coin.Habit.Fee), "a credit can't be had"); // it is short itself
            }
            return;
        }
    }

    /* ACTS OF TOKENS AND STRANGERS */

    /// @dev A token turns bad to somebody or good again, shrinks what the contract has, or is given to it.
    function spoil(uint256 seed, uint256 who) external {
        seed = mix(seed);
        ++calls;
        did("spoil");
        Coin coin = coins[seed % coins.length];
        touched = seed % coins.length;
        coin.setBadTo(people[who % 5], (who >> 8) % 3 != 0);
        if (coin.habit() == Coin.Habit.Shrink) coin.shrink(address(channels));
        if ((seed >> 8) % 8 != 0) return;
        uint256 amount = (seed >> 16) % 1e18;
        vm.prank(people[5]);
        (bool ok,) = address(coin).call(abi.encodeCall(coin.transfer, (address(channels), amount))); // may answer nothing
        require(ok, "a donation fails");
        donated[coin] += amount;
        wealth[coin][people[5]] -= amount;
    }

    /// @dev What nobody may do: other people's acts, signatures of nobody, other terms. Nothing of it may work.
    function meddle(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, true, true, true, true);
        if (!found) return open(seed);
        ++calls;
        did("meddle");
        Book storage book = books[i];
        Terms memory terms = termsOf(book);
        bytes[14] memory all;
        all[0] = abi.encodeCall(IChannels.open, (terms, 1));
        all[1] = abi.encodeCall(IChannels.openWithPermit, (terms, 1, noPermit()));
        bytes memory junk = sign(1 + seed % 1000, channels.releaseDigest(book.id, 0));
        all[2] = abi.encodeCall(IChannels.openFor, (terms, 1, block.timestamp, junk, noPermit()));
        all[3] = abi.encodeCall(IChannels.notice, (terms));
        all[4] = abi.encodeCall(IChannels.withdraw, (terms));
        all[5] = abi.encodeCall(IChannels.close, (terms));
        all[6] = abi.encodeCall(IChannels.release, (terms, type(uint88).max, junk));
        all[7] = abi.encodeCall(IChannels.release, (terms, 5, voucher(book, 5).signature));
        all[8] = abi.encodeCall(IChannels.withdrawCredit, (terms.payment.token, people[5]));
        Claim memory item = voucher(book, type(uint88).max);
        item.signature = junk;
        all[9] = abi.encodeCall(IChannels.claim, (terms.payment, item));
        item = voucher(book, type(uint88).max);
        item.cap = type(uint88).max; // others than what was agreed
        all[10] = abi.encodeCall(IChannels.claim, (terms.payment, item));
        item = voucher(book, type(uint88).max);
        terms.payment.payout = people[5]; // to the stranger, please
        all[11] = abi.encodeCall(IChannels.claim, (terms.payment, item));
        all[12] = abi.encodeCall(IChannels.close, (terms));
        all[13] = abi.encodeCall(IChannels.deposit, (terms, 1));
        for (uint256 k; k < all.length; ++k) {
            vm.prank(people[5]);
            (bool ok,) = address(channels).call{gas: CALL_GAS}(all[k]);
            require(!ok, "what nobody may do works");
        }
        drill(i);
    }

    /// @dev The token that calls back gets something new to call: as itself, and it is publisher and payout address of
    /// some of its channels.
    function reenter(uint256 seed) external {
        seed = mix(seed);
        (bool found, uint256 i) = find(seed, true, true, true, false);
        if (!found) return open(seed);
        ++calls;
        did("reenter");
        Book storage book = books[i];
        Terms memory terms = termsOf(book);
        Claim[] memory items = new Claim[](1);
        items[0] = voucher(book, type(uint88).max);
        bytes memory signature = sign(SIGNER_KEY, channels.releaseDigest(book.id, 1));
        bytes[9] memory all;
        all[0] = abi.encodeCall(IChannels.deposit, (terms, 1));
        all[1] = abi.encodeCall(IChannels.depositWithPermit, (terms, 1, noPermit()));
        all[2] = abi.encodeCall(IChannels.claim, (terms.payment, items[0]));
        all[3] = abi.encodeCall(IChannels.claimBatch, (terms.payment, items));
        all[4] = abi.encodeCall(IChannels.release, (terms, 1, signature));
        all[5] = abi.encodeCall(IChannels.notice, (terms));
        all[6] = abi.encodeCall(IChannels.withdraw, (terms));
        all[7] = abi.encodeCall(IChannels.close, (terms));
        all[8] = abi.encodeCall(IChannels.withdrawCredit, (terms.payment.token, ELSEWHERE));
        coins[REENTRANT].arm(address(channels), all[(seed >> 8) % 9]);
    }

    /// @dev Time passes: a bit, or up to the last or first second of somebody's notice.
    function pass(uint256 seed) public {
        seed = mix(seed);
        ++calls;
        did("pass");
        (bool found, uint256 i) = find(seed, false, true, false, false);
        uint256 to = block.timestamp + 1 + (seed >> 8) % (seed % 5 == 0 ? 2 days : 1 hours);
        if (found && seed % 3 == 0) to = books[i].noticeEnd - (seed >> 8) % 2;
        if (to > block.timestamp) vm.warp(to);
        if (found) drill(i);
    }

    function noPermit() private pure returns (Permit memory) {
        return Permit({deadline: type(uint256).max, v: 27, r: bytes32(uint256(1)), s: bytes32(uint256(2))});
    }
}
