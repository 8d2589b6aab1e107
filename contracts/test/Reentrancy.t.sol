// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, IChannels, Permit, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";
import {Coin} from "./invariant/Coin.sol";

/// @notice A token that calls back, from transfer, transferFrom and permit, with every function, in the middle of every
/// other. It is publisher and payout address of channels of its own, so that only the guard is in its way.
contract ReentrancyTest is Base {
    uint256 private constant INNER = 12;
    uint256 private constant OUTER = 11;

    Coin private coin;
    Coin private stubborn; // a token in which the other one has a credit
    Permit private bad = Permit({deadline: type(uint256).max, v: 27, r: bytes32(uint256(1)), s: bytes32(uint256(2))});

    function setUp() public override {
        super.setUp();
        coin = new Coin(Coin.Habit.Reenter, 18);
        stubborn = new Coin(Coin.Habit.False, 18);
        endow(coin, publisher);
        endow(coin, address(coin));
        endow(stubborn, publisher);
        Terms memory terms = own(0);
        (terms.payment.token, terms.agreement.publisher) = (address(stubborn), publisher);
        open(terms);
        skip(1);
        stubborn.setBadTo(address(coin), true);
        channels.claim(terms.payment, claimOf(terms, 5));
        stubborn.setBadTo(address(coin), false);
        assertEq(channels.credit(address(stubborn), address(coin)), 5, "credit");

        for (uint256 i = 1; i <= 2; ++i) {
            vm.prank(address(coin));
            channels.open(own(i), DEPOSIT);
        }
        vm.prank(address(coin));
        channels.notice(own(2));
        skip(NOTICE);
    }

    function endow(Coin money, address account) private {
        money.mint(account, 1e30);
        vm.prank(account);
        money.approve(address(channels), type(uint256).max);
    }

    /// @dev Terms by which the token itself is publisher and provider. Number 1 is open, number 2 has ended.
    function own(uint256 salt) private view returns (Terms memory terms) {
        terms = termsOf(salt);
        (terms.payment.token, terms.payment.payout) = (address(coin), address(coin));
        terms.agreement.publisher = address(coin);
    }

    function inner(uint256 i) private view returns (bytes memory) {
        Terms memory terms = own(1);
        Claim[] memory items = new Claim[](1);
        items[0] = claimOf(terms, 10);
        if (i == 0) return abi.encodeCall(IChannels.open, (own(3), 5));
        if (i == 1) return abi.encodeCall(IChannels.openWithPermit, (own(3), 5, bad));
        if (i == 2) return openFor(termsIn(4), 5);
        if (i == 3) return abi.encodeCall(IChannels.deposit, (terms, 5));
        if (i == 4) return abi.encodeCall(IChannels.depositWithPermit, (terms, 5, bad));
        if (i == 5) return abi.encodeCall(IChannels.claim, (terms.payment, items[0]));
        if (i == 6) return abi.encodeCall(IChannels.claimBatch, (terms.payment, items));
        if (i == 7) return abi.encodeCall(IChannels.release, (terms, 10, releaseOf(terms, 10)));
        if (i == 8) return abi.encodeCall(IChannels.notice, (terms));
        if (i == 9) return abi.encodeCall(IChannels.withdraw, (own(2)));
        if (i == 10) return abi.encodeCall(IChannels.close, (terms));
        return abi.encodeCall(IChannels.withdrawCredit, (address(stubborn), stranger));
    }

    function openFor(Terms memory terms, uint256 amount) private view returns (bytes memory) {
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, amount, block.timestamp));
        return abi.encodeCall(IChannels.openFor, (terms, amount, block.timestamp, signature, bad));
    }

    function termsIn(uint256 salt) private view returns (Terms memory terms) {
        terms = termsOf(salt);
        terms.payment.token = address(coin);
    }

    /// @dev A channel of the usual parties in this token, and a call on it in which the token is called.
    function outer(uint256 i, uint256 salt) private returns (address caller, bytes memory data) {
        Terms memory terms = termsIn(salt);
        caller = publisher;
        if (i == 0) return (caller, abi.encodeCall(IChannels.open, (terms, 5)));
        if (i == 1) return (caller, abi.encodeCall(IChannels.openWithPermit, (terms, 5, bad)));
        if (i == 2) return (stranger, openFor(terms, 5));
        open(terms);
        skip(10);
        if (i == 3) return (caller, abi.encodeCall(IChannels.deposit, (terms, 5)));
        if (i == 4) return (caller, abi.encodeCall(IChannels.depositWithPermit, (terms, 5, bad)));
        Claim[] memory items = new Claim[](1);
        items[0] = claimOf(terms, 10);
        if (i == 5) return (stranger, abi.encodeCall(IChannels.claim, (terms.payment, items[0])));
        if (i == 6) return (stranger, abi.encodeCall(IChannels.claimBatch, (terms.payment, items)));
        if (i == 7) return (stranger, abi.encodeCall(IChannels.release, (terms, 10, releaseOf(terms, 10))));
        if (i == 8) return (payout, abi.encodeCall(IChannels.close, (terms)));
        if (i == 9) {
            vm.prank(publisher);
            channels.notice(terms);
            skip(NOTICE);
            return (caller, abi.encodeCall(IChannels.withdraw, (terms)));
        }
        coin.setBadTo(payout, true);
        channels.claim(terms.payment, items[0]);
        coin.setBadTo(payout, false);
        return (payout, abi.encodeCall(IChannels.withdrawCredit, (address(coin), stranger)));
    }

    function testEveryFunctionInTheMiddleOfEveryOther() external {
        for (uint256 i; i < INNER; ++i) {
            for (uint256 o; o < OUTER; ++o) {
                (address caller, bytes memory data) = outer(o, 1000 + OUTER * i + o);
                coin.arm(address(channels), inner(i));
                uint256 tried = coin.tried();
                vm.prank(caller);
                (bool ok,) = address(channels).call(data);
                string memory pair = string.concat(vm.toString(i), " in ", vm.toString(o));
                require(ok, string.concat("the outer call fails: ", pair));
                require(coin.tried() > tried, string.concat("the token did not call back: ", pair));
                assertEq(coin.reentered(), 0, string.concat("came through: ", pair));
                assertEq(bytes32(coin.answer()), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))), pair);
                coin.arm(address(0), "");
            }
        }
    }

    /// The calls of the test above are good ones, so it is the guard that refuses them.
    function testEachWorksAlone() external {
        uint256[9] memory order = [uint256(2), 3, 4, 5, 0, 8, 9, 11, 10];
        for (uint256 i; i < 9; ++i) {
            bytes memory data = inner(order[i]);
            vm.prank(address(coin));
            (bool ok,) = address(channels).call(data);
            require(ok, string.concat("fails alone: ", vm.toString(order[i])));
        }
    }

    function testEachOfTheRestWorksAlone() external {
        uint256[3] memory order = [uint256(1), 6, 7];
        for (uint256 i; i < 3; ++i) {
            bytes memory data = inner(order[i]);
            vm.prank(address(coin));
            (bool ok,) = address(channels).call(data);
            require(ok, string.concat("fails alone: ", vm.toString(order[i])));
        }
        assertStatus(channels.channelId(own(1)), Status.Closed);
    }
}
