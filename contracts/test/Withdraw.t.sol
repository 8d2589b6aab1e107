// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";

contract WithdrawTest is Base {
    function testRefundsTheRest() external {
        (Terms memory terms, ChannelId id) = reach(Status.Notice);
        channels.claim(terms.payment, claimOf(terms, 300));
        skip(NOTICE);
        vm.expectEmit(address(channels));
        emit IChannels.Closed(id, 300, DEPOSIT - 300);
        vm.prank(publisher);
        channels.withdraw(terms);
        assertEq(token.balanceOf(publisher), 100 * DEPOSIT - 300, "publisher");
        assertEq(token.balanceOf(address(channels)), 0, "contract");
        assertStatus(id, Status.Closed);
    }

    function testOnlyThePublisher() external {
        (Terms memory terms,) = reach(Status.Ended);
        vm.expectRevert(IChannels.NotPublisher.selector);
        vm.prank(payout);
        channels.withdraw(terms);
    }

    function testOnlyAfterTheNotice() external {
        refused(Status.None, IChannels.NotOpened.selector);
        refused(Status.Open, IChannels.NoticeNotEnded.selector);
        refused(Status.Notice, IChannels.NoticeNotEnded.selector);
        refused(Status.Closed, IChannels.AlreadyClosed.selector);
    }

    function refused(Status status, bytes4 why) private {
        (Terms memory terms,) = reach(status, termsOf(uint256(status)));
        vm.expectRevert(why);
        vm.prank(publisher);
        channels.withdraw(terms);
    }

    /// M4: nothing of an old notice is left for a new channel, because ids are never used twice.
    function testNoStaleNotice() external {
        (Terms memory terms,) = reach(Status.Ended);
        vm.prank(publisher);
        channels.withdraw(terms);
        vm.expectRevert(IChannels.AlreadyOpened.selector);
        vm.prank(publisher);
        channels.open(terms, DEPOSIT);
    }
}
