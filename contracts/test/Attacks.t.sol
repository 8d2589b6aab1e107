// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, Claim, IChannels, Permit, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {OddToken} from "./OddToken.sol";
import {vm} from "./Vm.sol";

/// @notice The defects of an earlier design of this money, each tried here as it was done there. What of them is the
/// services' part (whom they let run, and when they stop it) is tested with the services.
contract AttacksTest is Base {
    Permit private none;

    function claim(Terms memory terms, uint256 total) private returns (uint256) {
        return channels.claim(terms.payment, claimOf(terms, total));
    }

    /* M1: owing more than was deposited made every claim fail, so one unit bought any amount of work */

    function testM1OwingMoreThanTheDepositPaysTheDeposit() external {
        Terms memory terms = termsOf(0);
        vm.prank(publisher);
        channels.open(terms, 1);
        skip(1 days);
        assertEq(claim(terms, 1_000_000), 1, "all there is");
        assertEq(token.balanceOf(payout), 1, "payout");
    }

    function testM1OwingMoreNeverStopsALaterClaim() external {
        Terms memory terms = termsOf(0);
        vm.prank(publisher);
        channels.open(terms, 1);
        skip(1 days);
        claim(terms, 1_000_000);
        vm.prank(publisher);
        channels.deposit(terms, 500);
        assertEq(claim(terms, 1_000_000), 500, "the arrears, by the same voucher");
    }

    /* M2: one channel paid for any number of apps, so the provider got the greatest of what was owed, not the sum */

    function testM2AVoucherIsGoodForOneChannelOnly() external {
        (Terms memory one,) = reach(Status.Open, termsOf(1));
        (Terms memory two,) = reach(Status.Open, termsOf(2));
        Claim memory item = claimOf(two, 100);
        item.signature = claimOf(one, 100).signature;
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.claim(two.payment, item);
    }

    function testM2TheAppIsPartOfTheTerms() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        terms.agreement.app = keccak256("another app");
        require(ChannelId.unwrap(channels.channelId(terms)) != ChannelId.unwrap(id), "the same channel");
        assertStatus(channels.channelId(terms), Status.None);
        Claim memory item = claimOf(terms, 100);
        vm.expectRevert(IChannels.NotOpened.selector);
        channels.claim(terms.payment, item);
    }

    function testM2TwoAppsOfOneProviderPayTheSum() external {
        Terms memory one = termsOf(0);
        Terms memory two = termsOf(0);
        two.agreement.app = keccak256("another app");
        reach(Status.Open, one);
        reach(Status.Open, two);
        claim(one, 300);
        claim(two, 200);
        assertEq(token.balanceOf(payout), 500, "payout");
    }

    /* M3: whoever had the provider's key took everything, at any time, without proof of work */

    function testM3TheProviderTakesNothingWithoutAVoucher() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        Claim memory item = claimOf(terms, DEPOSIT);
        item.signature = sign(0xBEEF, channels.voucherDigest(id, DEPOSIT)); // signed by another than the enclave
        vm.expectRevert(IChannels.BadSignature.selector);
        vm.prank(payout);
        channels.claim(terms.payment, item);

        vm.prank(payout); // what the payout address may do alone gives it nothing
        channels.close(terms);
        assertEq(token.balanceOf(payout), 0, "payout");
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT, "publisher");
    }

    function testM3EvenAStolenSignerTakesOnlyWhatTheRateGives() external {
        Terms memory terms = termsOf(0);
        open(terms);
        skip(10);
        assertEq(claim(terms, type(uint256).max), 10 * CAP, "ten seconds of the cap");
        vm.expectRevert(IChannels.NothingToClaim.selector);
        this.claimNow(terms);
    }

    function testM3AndTheWindowBoundsOneClaim() external {
        Terms memory terms = termsOf(0);
        terms.window = 60;
        open(terms);
        skip(365 days);
        assertEq(claim(terms, type(uint256).max), 60 * CAP, "a minute of the cap");
    }

    function claimNow(Terms calldata terms) external {
        claim(terms, type(uint256).max);
    }

    /* M4: a notice outlived its channel, so that the next one on the same terms could be emptied at once */

    function testM4NoNoticeIsLeftForAnotherChannel() external {
        (Terms memory terms,) = reach(Status.Ended);
        vm.prank(publisher);
        channels.withdraw(terms); // create, unlock, wait, withdraw

        vm.expectRevert(IChannels.AlreadyOpened.selector); // and create again
        vm.prank(publisher);
        channels.open(terms, DEPOSIT);

        terms.agreement.salt = bytes32(uint256(1)); // as near as it gets
        ChannelId id = open(terms);
        assertEq(channels.state(id).noticeEnd, 0, "noticeEnd");
        vm.expectRevert(IChannels.NoticeNotEnded.selector);
        vm.prank(publisher);
        channels.withdraw(terms);
    }

    /* M5: who was once authorised on a channel stayed so on the next one with the same terms */

    function testM5NothingSignedForAClosedChannelIsGoodForAnother() external {
        (Terms memory old,) = reach(Status.Open);
        Claim memory voucher = claimOf(old, DEPOSIT);
        bytes memory release = releaseOf(old, DEPOSIT);
        bytes memory opening = sign(PUBLISHER_KEY, channels.openDigest(old, DEPOSIT, type(uint256).max));
        vm.prank(payout);
        channels.close(old);

        vm.expectRevert(IChannels.AlreadyClosed.selector);
        channels.claim(old.payment, voucher);
        vm.expectRevert(IChannels.AlreadyClosed.selector);
        channels.release(old, DEPOSIT, release);
        vm.expectRevert(IChannels.AlreadyOpened.selector);
        channels.openFor(old, DEPOSIT, type(uint256).max, opening, none);

        (Terms memory next,) = reach(Status.Open, termsOf(1));
        voucher.agreement = channels.hashAgreement(next.agreement);
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.claim(next.payment, voucher);
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.release(next, DEPOSIT, release);
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.openFor(termsOf(2), DEPOSIT, type(uint256).max, opening, none);
    }

    /* M6: an authorised key sent the remainder to itself, or put off the publisher's exit for ever */

    function testM6TheSignerSendsNothingElsewhere() external {
        (Terms memory terms,) = reach(Status.Open);
        Claim memory item = claimOf(terms, DEPOSIT);
        Terms memory turned = abi.decode(abi.encode(terms), (Terms));
        turned.payment.payout = signer;
        vm.expectRevert(IChannels.NotOpened.selector);
        vm.prank(signer);
        channels.claim(turned.payment, item);

        vm.prank(signer);
        channels.release(terms, 300, releaseOf(terms, 300)); // all that its signature can do
        assertEq(token.balanceOf(signer), 0, "signer");
        assertEq(token.balanceOf(payout), 300, "payout");
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT - 300, "the remainder is the publisher's");
    }

    function testM6NobodyPutsOffTheExit() external {
        (Terms memory terms, ChannelId id) = reach(Status.Notice);
        uint40 end = channels.state(id).noticeEnd;
        token.mint(stranger, 10);
        vm.prank(stranger);
        token.approve(address(channels), 10);
        for (uint256 i = 1; i <= 5; ++i) {
            skip(NOTICE / 6);
            claim(terms, i);
            vm.prank(stranger);
            channels.deposit(terms, 1);
            address[3] memory others = [signer, payout, publisher];
            for (uint256 j; j < 3; ++j) {
                vm.expectRevert(j == 2 ? IChannels.AlreadyNoticed.selector : IChannels.NotPublisher.selector);
                vm.prank(others[j]);
                channels.notice(terms);
            }
            assertEq(channels.state(id).noticeEnd, end, "noticeEnd");
        }
        vm.warp(end);
        vm.prank(publisher);
        channels.withdraw(terms);
        assertStatus(id, Status.Closed);
    }

    /* M7: a wait of zero was accepted, and the provider's own claim ended the wait */

    function testM7ANoticeOfNothingIsRefused() external {
        Terms memory terms = termsOf(0);
        uint40[4] memory bad = [uint40(0), 1 hours - 1, 30 days + 1, type(uint40).max];
        for (uint256 i; i < bad.length; ++i) {
            terms.agreement.notice = bad[i];
            vm.expectRevert(IChannels.NoticeOutOfBounds.selector);
            vm.prank(publisher);
            channels.open(terms, DEPOSIT);
        }
        (uint40 least, uint40 most) = (1 hours, 30 days);
        terms.agreement.notice = least;
        open(terms);
        terms.agreement.notice = most;
        open(terms);
    }

    function testM7AClaimDoesNotEndTheNotice() external {
        (Terms memory terms, ChannelId id) = reach(Status.Notice);
        State memory before = channels.state(id);
        claim(terms, 300);
        assertEq(channels.state(id).noticeEnd, before.noticeEnd, "noticeEnd");
        vm.expectRevert(IChannels.NoticeNotEnded.selector);
        vm.prank(publisher);
        channels.withdraw(terms);
        vm.warp(before.noticeEnd - 1);
        assertEq(claim(terms, 400), 100, "up to the last second");
    }

    /* M16: giving a part of a channel to somebody else needed twice the amount */

    function testM16SharesNeedNoMoreThanTheDeposit() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open, withPayees(termsOf(0), shares(600_000, 400_000)));
        skip(1 days);
        claim(terms, DEPOSIT); // sixty of a hundred
        assertEq(token.balanceOf(address(1001)), DEPOSIT * 6 / 10, "first");
        assertEq(token.balanceOf(address(1002)), DEPOSIT * 4 / 10, "second");
        assertEq(token.balanceOf(payout), 0, "payout");
        assertEq(channels.state(id).claimed, DEPOSIT, "claimed");
        assertEq(token.balanceOf(address(channels)), 0, "contract");
    }

    /* M22: a token that keeps a fee, or takes back what it gave, made the pool short for everybody */

    function testM22ABadTokenHarmsOnlyItself() external {
        OddToken odd = new OddToken();
        odd.setFee(100_000);
        odd.mint(publisher, 2 * DEPOSIT);
        vm.prank(publisher);
        odd.approve(address(channels), type(uint256).max);
        (Terms memory good,) = reach(Status.Open, termsOf(1));
        (Terms memory bad, ChannelId id) = reach(Status.Open, withToken(termsOf(2), address(odd)));
        assertEq(odd.balanceOf(address(channels)), DEPOSIT * 9 / 10, "it is short at once");

        skip(1 days);
        claim(bad, DEPOSIT); // more than there is: booked as a credit, nothing else suffers
        assertStatus(id, Status.Open);
        assertEq(channels.credit(address(odd), payout), DEPOSIT, "credit");
        odd.burn(address(channels), odd.balanceOf(address(channels)));
        vm.prank(payout);
        channels.close(bad);
        assertStatus(id, Status.Closed);

        claim(good, DEPOSIT);
        assertEq(token.balanceOf(payout), DEPOSIT, "the good channel pays all");
    }

    function withToken(Terms memory terms, address coin) private pure returns (Terms memory) {
        terms.payment.token = coin;
        return terms;
    }
}
