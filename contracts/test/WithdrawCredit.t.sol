// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, IChannels, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Blocklisting} from "./Mocks.sol";
import {vm} from "./Vm.sol";

contract WithdrawCreditTest is Base {
    Blocklisting private coin;

    function setUp() public override {
        super.setUp();
        coin = new Blocklisting();
        coin.mint(publisher, DEPOSIT);
        vm.prank(publisher);
        coin.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.payment.token = address(coin);
        reach(Status.Open, terms);
        coin.set(payout, true);
        Claim memory item = claimOf(terms, 300);
        vm.expectEmit(address(channels));
        emit IChannels.Credited(address(coin), payout, 300);
        channels.claim(terms.payment, item);
    }

    function testToAnotherAddress() external {
        vm.expectEmit(address(channels));
        emit IChannels.CreditWithdrawn(address(coin), payout, stranger, 300);
        vm.prank(payout);
        assertEq(channels.withdrawCredit(address(coin), stranger), 300, "amount");
        assertEq(coin.balanceOf(stranger), 300, "balance");
        assertEq(channels.credit(address(coin), payout), 0, "credit");
        vm.expectRevert(IChannels.NoCredit.selector);
        vm.prank(payout);
        channels.withdrawCredit(address(coin), stranger);
    }

    function testAddsUp() external {
        Terms memory terms = termsOf(0);
        terms.payment.token = address(coin);
        channels.claim(terms.payment, claimOf(terms, 500));
        assertEq(channels.credit(address(coin), payout), 500, "of two claims");
        vm.prank(payout);
        assertEq(channels.withdrawCredit(address(coin), stranger), 500, "amount");
        vm.prank(payout); // closing changes nothing of what is credited
        channels.close(terms);
        assertEq(coin.balanceOf(stranger), 500, "balance");
    }

    function testStaysIfItFailsAgain() external {
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "blocked"));
        vm.prank(payout);
        channels.withdrawCredit(address(coin), payout);
        assertEq(channels.credit(address(coin), payout), 300, "credit");
    }

    function testOfNobodyElse() external {
        vm.expectRevert(IChannels.NoCredit.selector);
        vm.prank(stranger);
        channels.withdrawCredit(address(coin), stranger);
        vm.expectRevert(IChannels.NoCredit.selector);
        vm.prank(payout);
        channels.withdrawCredit(address(token), payout);
    }
}
