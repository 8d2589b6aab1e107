// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channels} from "../src/Channels.sol";
import {ChannelId, Claim, IChannels, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Blocklisting, Reentrant, Wallet} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract ClaimTest is Base {
    function claim(Terms memory terms, uint256 total) private returns (uint256) {
        Claim memory item = claimOf(terms, total);
        vm.prank(stranger); // anyone may
        return channels.claim(terms.payment, item);
    }

    function refused(Terms memory terms, uint256 total, bytes4 why) private {
        Claim memory item = claimOf(terms, total);
        vm.expectRevert(why);
        channels.claim(terms.payment, item);
    }

    function testPaysTheDifference() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        assertEq(claim(terms, 300), 300, "first");

        Claim memory item = claimOf(terms, 1000);
        vm.expectEmit(address(channels));
        emit IChannels.Claimed(id, 700, 1000);
        channels.claim(terms.payment, item);

        assertEq(token.balanceOf(payout), 1000, "payout");
        assertEq(channels.state(id).claimed, 1000, "claimed");
    }

    function testStates() external {
        refused(termsOf(1), 5, IChannels.NotOpened.selector);
        (Terms memory terms,) = reach(Status.Notice, termsOf(2));
        assertEq(claim(terms, 5), 5, "during notice");
        (terms,) = reach(Status.Ended, termsOf(3));
        refused(terms, 5, IChannels.NothingToClaim.selector);
        (terms,) = reach(Status.Closed, termsOf(4));
        refused(terms, 5, IChannels.AlreadyClosed.selector);
    }

    function testUpToTheLastSecondOfTheNotice() external {
        (Terms memory terms, ChannelId id) = reach(Status.Notice);
        vm.warp(channels.state(id).noticeEnd - 1);
        assertEq(claim(terms, 5), 5, "a second before");
        vm.warp(channels.state(id).noticeEnd);
        refused(terms, 6, IChannels.NothingToClaim.selector);
    }

    /// M1: owing more than was deposited pays the deposit, and a top-up pays the arrears at once.
    function testClampedToDeposit() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        skip(1 days);
        assertEq(claim(terms, 10 * DEPOSIT), DEPOSIT, "all there is");
        refused(terms, 10 * DEPOSIT, IChannels.NothingToClaim.selector);
        vm.prank(publisher);
        channels.deposit(terms, 1000);
        assertEq(claim(terms, 10 * DEPOSIT), 1000, "arrears");
        assertEq(channels.state(id).claimed, DEPOSIT + 1000, "claimed");
    }

    function testClampedByCap() external {
        Terms memory terms = termsOf(0);
        ChannelId id = open(terms);
        refused(terms, 5, IChannels.NothingToClaim.selector); // in the same second
        skip(7);
        assertEq(claim(terms, DEPOSIT), 7 * CAP, "seven seconds");
        assertEq(channels.state(id).spentUntil, block.timestamp, "all spent");
        refused(terms, DEPOSIT, IChannels.NothingToClaim.selector);
        skip(1);
        assertEq(claim(terms, DEPOSIT), CAP, "one more");
    }

    function testClampedByWindow() external {
        Terms memory terms = termsOf(0);
        terms.window = 100;
        ChannelId id = open(terms);
        skip(1 days);
        assertEq(claim(terms, DEPOSIT), 100 * CAP, "the window");
        assertEq(channels.state(id).spentUntil, block.timestamp, "all spent");
    }

    /// Old vouchers, submitted by somebody to spoil the next claim, take away no more seconds than they pay for.
    function testOldVouchersSpoilNothing() external {
        Terms memory terms = termsOf(0);
        open(terms);
        skip(1000);
        for (uint256 i = 1; i <= 100; ++i) {
            claim(terms, i * 5 * CAP); // vouchers that were made every ten seconds, at half the cap
        }
        assertEq(claim(terms, 1000 * CAP), 500 * CAP, "the rest");
    }

    /// Two claims pay what one would, and never more than the cap allows since opening.
    function testSplittingClaimsGainsNothing(uint32 wait1, uint32 wait2, uint64 total1, uint64 total2) external {
        Terms memory terms = termsOf(0);
        ChannelId id = open(terms);
        vm.prank(publisher);
        channels.deposit(terms, 50 * DEPOSIT);
        skip(wait1 % 1 days);
        if (channels.claimable(terms, total1) != 0) claim(terms, total1);
        skip(wait2 % 1 days);
        if (channels.claimable(terms, total2) != 0) claim(terms, total2);
        State memory state = channels.state(id);
        require(state.claimed <= CAP * (block.timestamp - START), "above the cap");
        require(state.claimed <= state.deposited, "above the deposit");
        require(state.spentUntil <= block.timestamp, "spent the future");
        assertEq(token.balanceOf(payout), state.claimed, "payout");
    }

    function testBadSignatures() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        Claim memory item = claimOf(terms, 100);
        bytes[] memory bad = new bytes[](6);
        bad[0] = "";
        bad[1] = sign(PUBLISHER_KEY, channels.voucherDigest(id, 100)); // another key
        bad[2] = sign(SIGNER_KEY, channels.voucherDigest(id, 99)); // another total
        bad[3] = sign(SIGNER_KEY, channels.releaseDigest(id, 100)); // another type
        bad[4] = sign(SIGNER_KEY, channels.voucherDigest(channels.channelId(termsOf(1)), 100)); // another channel
        bad[5] = sign(SIGNER_KEY, new Channels().voucherDigest(id, 100)); // another contract
        for (uint256 i; i < bad.length; ++i) {
            item.signature = bad[i];
            vm.expectRevert(IChannels.BadSignature.selector);
            channels.claim(terms.payment, item);
        }
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SIGNER_KEY, channels.voucherDigest(id, 100));
        uint256 n = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        item.signature = abi.encodePacked(r, bytes32(n - uint256(s)), v == 27 ? 28 : 27); // the malleable twin
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.claim(terms.payment, item);
    }

    function testContractAsSigner() external {
        Wallet wallet = new Wallet(signer);
        Terms memory terms = termsOf(0);
        terms.payment.signer = address(wallet);
        reach(Status.Open, terms);
        assertEq(claim(terms, 5), 5, "accepted");
        wallet.lock();
        refused(terms, 6, IChannels.BadSignature.selector);
    }

    function testForeignTerms() external {
        (Terms memory terms,) = reach(Status.Open);
        Claim memory item = claimOf(terms, 100);
        terms.payment.payout = stranger;
        vm.expectRevert(IChannels.NotOpened.selector);
        channels.claim(terms.payment, item);
    }

    function testShares() external {
        (Terms memory terms,) = reach(Status.Open, withPayees(termsOf(0), shares(250_000, 1)));
        claim(terms, 103);
        assertEq(token.balanceOf(address(1001)), 25, "a quarter, rounded down");
        assertEq(token.balanceOf(address(1002)), 0, "a millionth");
        assertEq(token.balanceOf(payout), 78, "the rest");
        skip(2);
        claim(terms, DEPOSIT);
        assertEq(token.balanceOf(address(1001)), DEPOSIT / 4, "a quarter");
        assertEq(token.balanceOf(address(1002)), 1, "a millionth");
        assertEq(token.balanceOf(payout), DEPOSIT - DEPOSIT / 4 - 1, "the rest");
    }

    /// However claims are cut, everyone ends up with the same, and never with less than their share rounded down.
    function testSharesAreExact(uint32 a, uint32 b, uint24[5] memory steps) external {
        uint32 first = 1 + a % 999_999;
        uint32 second = 1 + b % (1_000_000 - first);
        (Terms memory terms,) = reach(Status.Open, withPayees(termsOf(0), shares(first, second)));
        uint256 total;
        for (uint256 i; i < steps.length; ++i) {
            total += i == 0 ? 1 : steps[i] % 1000; // small steps are where rounding bites
            if (channels.claimable(terms, total) != 0) claim(terms, total);
        }
        uint256 got1 = token.balanceOf(address(1001));
        uint256 got2 = token.balanceOf(address(1002));
        assertEq(got1, total * first / 1_000_000, "first");
        require(got2 >= total * second / 1_000_000, "second");
        uint256 own = 1_000_000 - first - second;
        require(token.balanceOf(payout) >= total * own / 1_000_000, "provider");
        assertEq(got1 + got2 + token.balanceOf(payout), total, "sum");
    }

    function testBlockedPayeeGetsACredit() external {
        Blocklisting coin = new Blocklisting();
        coin.mint(publisher, DEPOSIT);
        vm.prank(publisher);
        coin.approve(address(channels), DEPOSIT);
        Terms memory terms = withPayees(termsOf(0), shares(500_000, 1));
        terms.payment.token = address(coin);
        reach(Status.Open, terms);
        coin.set(address(1001), true);
        claim(terms, 100);
        assertEq(coin.balanceOf(payout), 50, "the provider is paid");
        assertEq(channels.credit(address(coin), address(1001)), 50, "the payee has a credit");
    }

    function testReentrantTokenClaimsOnce() external {
        Reentrant coin = new Reentrant();
        coin.mint(publisher, DEPOSIT);
        vm.prank(publisher);
        coin.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.payment.token = address(coin);
        reach(Status.Open, terms);
        coin.arm(address(channels), abi.encodeCall(IChannels.claim, (terms.payment, claimOf(terms, 200))));
        claim(terms, 100);
        assertEq(bytes32(coin.answer()), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))), "answer");
        assertEq(coin.balanceOf(payout), 100, "payout");
    }
}
