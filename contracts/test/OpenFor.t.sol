// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, IChannels, Payee, Permit, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Wallet} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract OpenForTest is Base {
    Permit private none;

    function testAnyoneSubmits(address sender) external {
        Terms memory terms = termsOf(0);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
        vm.prank(sender);
        ChannelId id = channels.openFor(terms, DEPOSIT, START, signature, none);
        assertEq(channels.state(id).deposited, DEPOSIT, "deposited");
        assertEq(token.balanceOf(publisher), 99 * DEPOSIT, "publisher");
    }

    function testWithPermit() external {
        vm.prank(publisher);
        token.approve(address(channels), 0);
        Terms memory terms = termsOf(0);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
        Permit memory permit = permitOf(DEPOSIT);
        vm.prank(stranger);
        channels.openFor(terms, DEPOSIT, START, signature, permit);
    }

    function testByContract() external {
        Wallet wallet = new Wallet(publisher);
        token.mint(address(wallet), DEPOSIT);
        vm.prank(address(wallet));
        token.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.agreement.publisher = address(wallet);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
        ChannelId id = channels.openFor(terms, DEPOSIT, START, signature, none);
        assertEq(channels.state(id).deposited, DEPOSIT, "deposited");
    }

    function testExpired() external {
        Terms memory terms = termsOf(0);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START - 1));
        vm.expectRevert(IChannels.Expired.selector);
        channels.openFor(terms, DEPOSIT, START - 1, signature, none);
    }

    /// The signature covers every term, the amount and the deadline.
    function testSignatureCoversEverything() external {
        for (uint256 i; i < 16; ++i) {
            Terms memory terms = withPayees(termsOf(0), shares(1, 2));
            bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
            uint256 amount = DEPOSIT;
            uint256 deadline = START;
            if (i == 0) terms.agreement.publisher = stranger;
            if (i == 1) terms.agreement.app = 0;
            if (i == 2) terms.agreement.tariff = 0;
            if (i == 3) terms.agreement.quote = 0;
            if (i == 4) terms.agreement.notice += 1;
            if (i == 5) terms.agreement.salt = bytes32(uint256(1));
            if (i == 6) terms.payment.token = stranger;
            if (i == 7) terms.payment.payout = stranger;
            if (i == 8) terms.payment.payees[0].account = stranger;
            if (i == 9) terms.payment.payees[1].share += 1;
            if (i == 10) terms.payment.payees = new Payee[](0);
            if (i == 11) terms.payment.signer = stranger;
            if (i == 12) terms.cap += 1;
            if (i == 13) terms.window += 1;
            if (i == 14) amount += 1;
            if (i == 15) deadline += 1;
            vm.expectRevert(IChannels.BadSignature.selector);
            channels.openFor(terms, amount, deadline, signature, none);
        }
    }

    /// What can't be recovered is nobody's signature, and not the signature of nobody.
    function testNobodyAsPublisher() external {
        Terms memory terms = termsOf(0);
        terms.agreement.publisher = address(0);
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.openFor(terms, DEPOSIT, START, "", none);
    }

    function testPermitLeftOutIsNotAskedFor() external {
        Terms memory terms = termsOf(0);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
        vm.expectCall(address(token), abi.encodeWithSelector(token.permit.selector), 0);
        channels.openFor(terms, DEPOSIT, START, signature, none);
    }

    function testNeverTwice() external {
        Terms memory terms = termsOf(0);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
        channels.openFor(terms, DEPOSIT, START, signature, none);
        vm.expectRevert(IChannels.AlreadyOpened.selector);
        channels.openFor(terms, DEPOSIT, START, signature, none);
        vm.prank(payout);
        channels.close(terms);
        vm.expectRevert(IChannels.AlreadyOpened.selector);
        channels.openFor(terms, DEPOSIT, START, signature, none);
    }
}
