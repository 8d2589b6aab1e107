// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Blocklisting} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract ReleaseTest is Base {
    function release(Terms memory terms, uint256 total) private {
        bytes memory signature = releaseOf(terms, total);
        vm.prank(stranger); // anyone may
        channels.release(terms, total, signature);
    }

    function testPaysAndCloses() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        bytes memory signature = releaseOf(terms, 300);
        vm.expectEmit(address(channels));
        emit IChannels.Claimed(id, 300, 300);
        vm.expectEmit(address(channels));
        emit IChannels.Closed(id, 300, DEPOSIT - 300);
        channels.release(terms, 300, signature);

        assertEq(token.balanceOf(payout), 300, "payout");
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT - 300, "publisher");
        assertStatus(id, Status.Closed);
        assertEq(channels.state(id).claimed, 300, "the receipt stays");
        assertEq(channels.state(id).deposited, DEPOSIT, "the receipt stays");
    }

    function testOfNothingRefundsAll() external {
        Terms memory terms = termsOf(0);
        open(terms);
        release(terms, 0);
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT, "publisher");
    }

    function testBelowWhatWasClaimed() external {
        (Terms memory terms,) = reach(Status.Open);
        channels.claim(terms.payment, claimOf(terms, 300));
        release(terms, 200);
        assertEq(token.balanceOf(payout), 300, "payout");
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT - 300, "publisher");
    }

    function testRateAndDepositBoundIt() external {
        Terms memory terms = termsOf(0);
        open(terms);
        skip(3);
        release(terms, DEPOSIT);
        assertEq(token.balanceOf(payout), 3 * CAP, "rate");
        (terms,) = reach(Status.Open, termsOf(1));
        skip(1 days);
        release(terms, 2 * DEPOSIT);
        assertEq(token.balanceOf(payout), 3 * CAP + DEPOSIT, "deposit");
    }

    function testAfterTheNoticePaysNothing() external {
        (Terms memory terms,) = reach(Status.Notice, termsOf(1));
        release(terms, 10);
        assertEq(token.balanceOf(payout), 10, "during notice");
        (terms,) = reach(Status.Ended, termsOf(2));
        release(terms, 10);
        assertEq(token.balanceOf(payout), 10, "after notice");
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT - 10, "publisher");
    }

    function testRefused() external {
        Terms memory terms = termsOf(1);
        bytes memory signature = releaseOf(terms, 0);
        vm.expectRevert(IChannels.NotOpened.selector);
        channels.release(terms, 0, signature);

        (terms,) = reach(Status.Open, termsOf(2));
        signature = claimOf(terms, 5).signature; // a voucher is no release
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.release(terms, 5, signature);

        (terms,) = reach(Status.Closed, termsOf(3));
        signature = releaseOf(terms, 5);
        vm.expectRevert(IChannels.AlreadyClosed.selector);
        channels.release(terms, 5, signature);
    }

    function testBlockedPublisherStopsNobody() external {
        Blocklisting coin = new Blocklisting();
        coin.mint(publisher, DEPOSIT);
        vm.prank(publisher);
        coin.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.payment.token = address(coin);
        reach(Status.Open, terms);
        coin.set(publisher, true);
        release(terms, 300);
        assertEq(coin.balanceOf(payout), 300, "payout");
        assertEq(channels.credit(address(coin), publisher), DEPOSIT - 300, "credit");
    }
}
