// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";

contract NoticeTest is Base {
    function testStartsTheNotice() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        vm.expectEmit(address(channels));
        emit IChannels.NoticeGiven(id, block.timestamp + NOTICE);
        vm.prank(publisher);
        channels.notice(terms);
        assertEq(channels.state(id).noticeEnd, block.timestamp + NOTICE, "noticeEnd");
        assertStatus(id, Status.Notice);
        skip(NOTICE - 1);
        assertStatus(id, Status.Notice);
        skip(1);
        assertStatus(id, Status.Ended);
    }

    function testOnlyThePublisherInAnyState() external {
        for (uint256 i; i <= uint256(Status.Closed); ++i) {
            (Terms memory terms,) = reach(Status(i), termsOf(i));
            vm.expectRevert(IChannels.NotPublisher.selector);
            vm.prank(payout);
            channels.notice(terms);
        }
    }

    function testOnce() external {
        refused(Status.None, IChannels.NotOpened.selector);
        refused(Status.Notice, IChannels.AlreadyNoticed.selector);
        refused(Status.Ended, IChannels.AlreadyNoticed.selector);
        refused(Status.Closed, IChannels.AlreadyClosed.selector);
    }

    function refused(Status status, bytes4 why) private {
        (Terms memory terms,) = reach(status, termsOf(uint256(status)));
        vm.expectRevert(why);
        vm.prank(publisher);
        channels.notice(terms);
    }
}
