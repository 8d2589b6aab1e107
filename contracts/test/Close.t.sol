// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";

contract CloseTest is Base {
    function testRefundsInEveryLiveState() external {
        for (uint256 i = uint256(Status.Open); i <= uint256(Status.Ended); ++i) {
            (Terms memory terms, ChannelId id) = reach(Status(i), termsOf(i));
            uint256 before = token.balanceOf(publisher);
            vm.expectEmit(address(channels));
            emit IChannels.Closed(id, 0, DEPOSIT);
            vm.prank(payout);
            channels.close(terms);
            assertEq(token.balanceOf(publisher), before + DEPOSIT, "publisher");
            assertStatus(id, Status.Closed);
        }
    }

    function testAtWhatWasClaimed() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        channels.claim(terms.payment, claimOf(terms, 300));
        State memory want = channels.state(id);
        want.noticeEnd = type(uint40).max;
        vm.prank(payout);
        channels.close(terms);
        assertState(id, want);
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT - 300, "publisher");
    }

    function testOnlyThePayoutAddress() external {
        (Terms memory terms,) = reach(Status.Open);
        vm.expectRevert(IChannels.NotPayout.selector);
        vm.prank(publisher);
        channels.close(terms);
    }

    function testRefused() external {
        Terms memory terms = termsOf(1);
        vm.expectRevert(IChannels.NotOpened.selector);
        vm.prank(payout);
        channels.close(terms);
        (terms,) = reach(Status.Closed, termsOf(2));
        vm.expectRevert(IChannels.AlreadyClosed.selector);
        vm.prank(payout);
        channels.close(terms);
    }
}
