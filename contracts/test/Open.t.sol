// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Reentrant} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract OpenTest is Base {
    function testOpens(uint88 amount) external {
        vm.assume(amount != 0);
        token.mint(publisher, amount);
        Terms memory terms = termsOf(0);
        ChannelId id = channels.channelId(terms);
        uint256 before = token.balanceOf(publisher);

        vm.expectEmit(address(channels));
        emit IChannels.Opened(id, publisher, payout, amount);
        vm.prank(publisher);
        ChannelId got = channels.open(terms, amount);

        assertEq(ChannelId.unwrap(got), ChannelId.unwrap(id), "id");
        assertState(id, State({deposited: amount, claimed: 0, spentUntil: uint40(START), noticeEnd: 0}));
        assertStatus(id, Status.Open);
        assertEq(token.balanceOf(publisher), before - amount, "publisher");
        assertEq(token.balanceOf(address(channels)), amount, "contract");
    }

    function testOnlyThePublisher() external {
        Terms memory terms = termsOf(0);
        vm.expectRevert(IChannels.NotPublisher.selector);
        vm.prank(stranger);
        channels.open(terms, DEPOSIT);
    }

    function testNeverTwiceInAnyState() external {
        for (uint256 i = 1; i <= uint256(Status.Closed); ++i) {
            (Terms memory terms,) = reach(Status(i), termsOf(i));
            vm.expectRevert(IChannels.AlreadyOpened.selector);
            vm.prank(publisher);
            channels.open(terms, DEPOSIT);
        }
    }

    function testAmountBounds() external {
        Terms memory terms = termsOf(0);
        vm.expectRevert(IChannels.ZeroAmount.selector);
        vm.prank(publisher);
        channels.open(terms, 0);

        vm.expectRevert(IChannels.AmountTooLarge.selector);
        vm.prank(publisher);
        channels.open(terms, uint256(type(uint88).max) + 1);
    }

    function testWithoutAllowance() external {
        vm.prank(publisher);
        token.approve(address(channels), DEPOSIT - 1);
        Terms memory terms = termsOf(0);
        vm.expectRevert(
            abi.encodeWithSignature(
                "ERC20InsufficientAllowance(address,uint256,uint256)", address(channels), DEPOSIT - 1, DEPOSIT
            )
        );
        vm.prank(publisher);
        channels.open(terms, DEPOSIT);
        assertStatus(channels.channelId(terms), Status.None);
    }

    function testEveryPayeeHasAnAddressAndAShare() external {
        for (uint256 i; i < 2; ++i) {
            Terms memory terms = withPayees(termsOf(i), shares(1, 1));
            terms.payment.payees[i].account = address(0);
            vm.expectRevert(IChannels.ZeroAddress.selector);
            vm.prank(publisher);
            channels.open(terms, DEPOSIT);

            terms = withPayees(termsOf(i), shares(1, 1));
            terms.payment.payees[i].share = 0;
            vm.expectRevert(IChannels.BadShares.selector);
            vm.prank(publisher);
            channels.open(terms, DEPOSIT);
        }
    }

    function testReentrantTokenOpensNothingElse() external {
        Reentrant bad = new Reentrant();
        bad.mint(publisher, DEPOSIT);
        vm.prank(publisher);
        bad.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.payment.token = address(bad);
        bad.arm(address(channels), abi.encodeCall(IChannels.deposit, (terms, 1)));
        vm.prank(publisher);
        ChannelId id = channels.open(terms, DEPOSIT);
        assertEq(bytes32(bad.answer()), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))), "answer");
        assertEq(channels.state(id).deposited, DEPOSIT, "deposited");
    }
}
