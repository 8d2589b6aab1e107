// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, Permit, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Blocklisting} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract DepositTest is Base {
    function testAnyoneDeposits(address from, uint80 amount) external {
        vm.assume(from != address(0) && from != address(channels) && amount != 0);
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        State memory before = channels.state(id);
        token.mint(from, amount);
        vm.prank(from);
        token.approve(address(channels), amount);

        vm.expectEmit(address(channels));
        emit IChannels.Deposited(id, from, amount);
        vm.prank(from);
        channels.deposit(terms, amount);

        before.deposited += amount;
        assertState(id, before);
        assertEq(token.balanceOf(address(channels)), DEPOSIT + amount, "contract");
    }

    function testDuringNotice() external {
        (Terms memory terms, ChannelId id) = reach(Status.Notice);
        State memory before = channels.state(id);
        vm.prank(publisher);
        channels.deposit(terms, 5);
        before.deposited += 5;
        assertState(id, before);
    }

    function testRefusedInOtherStates() external {
        refused(Status.None, IChannels.NotOpened.selector);
        refused(Status.Ended, IChannels.NoticeEnded.selector);
        refused(Status.Closed, IChannels.AlreadyClosed.selector);
    }

    function refused(Status status, bytes4 why) private {
        (Terms memory terms,) = reach(status, termsOf(uint256(status)));
        vm.expectRevert(why);
        vm.prank(publisher);
        channels.deposit(terms, 1);
    }

    function testAmountBounds() external {
        (Terms memory terms,) = reach(Status.Open);
        vm.expectRevert(IChannels.ZeroAmount.selector);
        vm.prank(publisher);
        channels.deposit(terms, 0);

        vm.expectRevert(IChannels.AmountTooLarge.selector);
        vm.prank(publisher);
        channels.deposit(terms, type(uint88).max - DEPOSIT + 1);
    }

    function testUpToAllThatFits() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        uint256 rest = type(uint88).max - DEPOSIT;
        token.mint(publisher, rest);
        vm.prank(publisher);
        channels.deposit(terms, rest);
        assertEq(channels.state(id).deposited, type(uint88).max, "deposited");
    }

    function testForeignTerms() external {
        (Terms memory terms,) = reach(Status.Open);
        terms.payment.token = address(new Blocklisting());
        vm.expectRevert(IChannels.NotOpened.selector);
        vm.prank(publisher);
        channels.deposit(terms, 1);
    }

    function testWithPermit() external {
        (Terms memory terms, ChannelId id) = reach(Status.Open);
        vm.prank(publisher);
        token.approve(address(channels), 0);
        Permit memory permit = permitOf(7);
        vm.prank(publisher);
        channels.depositWithPermit(terms, 7, permit);
        assertEq(channels.state(id).deposited, DEPOSIT + 7, "deposited");
    }
}
