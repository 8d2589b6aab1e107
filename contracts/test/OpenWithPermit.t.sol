// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, Permit, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Blocklisting} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract OpenWithPermitTest is Base {
    function setUp() public override {
        super.setUp();
        vm.prank(publisher);
        token.approve(address(channels), 0);
    }

    function testOpens() external {
        Terms memory terms = termsOf(0);
        Permit memory permit = permitOf(DEPOSIT);
        vm.prank(publisher);
        ChannelId id = channels.openWithPermit(terms, DEPOSIT, permit);
        assertEq(channels.state(id).deposited, DEPOSIT, "deposited");
        assertEq(token.allowance(publisher, address(channels)), 0, "allowance left");
    }

    function testOnlyThePublisher() external {
        Terms memory terms = termsOf(0);
        Permit memory permit = permitOf(DEPOSIT);
        vm.expectRevert(IChannels.NotPublisher.selector);
        vm.prank(stranger);
        channels.openWithPermit(terms, DEPOSIT, permit);
    }

    /// Somebody who sees the permit and submits it first changes nothing.
    function testPermitUsedBefore() external {
        Terms memory terms = termsOf(0);
        Permit memory permit = permitOf(DEPOSIT);
        vm.prank(stranger);
        token.permit(publisher, address(channels), DEPOSIT, permit.deadline, permit.v, permit.r, permit.s);
        vm.prank(publisher);
        channels.openWithPermit(terms, DEPOSIT, permit);
    }

    /// A token that knows nothing of permits does with an approval.
    function testTokenWithoutPermit() external {
        Blocklisting coin = new Blocklisting();
        coin.mint(publisher, DEPOSIT);
        vm.prank(publisher);
        coin.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.payment.token = address(coin);
        Permit memory permit = permitOf(DEPOSIT);
        vm.prank(publisher);
        ChannelId id = channels.openWithPermit(terms, DEPOSIT, permit);
        assertEq(channels.state(id).deposited, DEPOSIT, "deposited");
    }

    function testBadPermitWithoutAllowance() external {
        Terms memory terms = termsOf(0);
        Permit memory permit = permitOf(DEPOSIT - 1);
        vm.expectRevert(
            abi.encodeWithSignature(
                "ERC20InsufficientAllowance(address,uint256,uint256)", address(channels), 0, DEPOSIT
            )
        );
        vm.prank(publisher);
        channels.openWithPermit(terms, DEPOSIT, permit);
    }
}
