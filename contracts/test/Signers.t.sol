// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim, IChannels, Permit, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Answering, Wallet} from "./Mocks.sol";
import {vm} from "./Vm.sol";

/// @notice Signers and publishers that are contracts (ERC-1271), good and bad ones.
contract SignersTest is Base {
    Permit private none;

    function termsBy(address signer_) private returns (Terms memory terms) {
        terms = termsOf(uint160(signer_));
        terms.payment.signer = signer_;
        reach(Status.Open, terms);
    }

    function refused(address signer_) private {
        Terms memory terms = termsBy(signer_);
        Claim memory item = claimOf(terms, 5);
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.claim(terms.payment, item);

        Claim[] memory items = new Claim[](1);
        items[0] = item;
        assertEq(channels.claimBatch{gas: 10_000_000}(terms.payment, items)[0], 0, "in a batch");

        bytes memory signature = releaseOf(terms, 5);
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.release(terms, 5, signature);

        vm.prank(payout); // and nobody needs the signer to leave
        channels.close(terms);
    }

    function testGood() external {
        Terms memory terms = termsBy(address(new Wallet(signer)));
        assertEq(channels.claim(terms.payment, claimOf(terms, 5)), 5, "claim");
        channels.release(terms, 7, releaseOf(terms, 7));
        assertEq(token.balanceOf(payout), 7, "release");
    }

    function testReverting() external {
        refused(address(new Answering(Answering.How.Revert, "")));
    }

    function testEatingAllGas() external {
        refused(address(new Answering(Answering.How.EatGas, "")));
    }

    function testAnsweringRubbish() external {
        refused(address(new Answering(Answering.How.Return, ""))); // as a contract does that has a fallback
        refused(address(new Answering(Answering.How.Return, hex"1626ba7e"))); // cut short
        refused(address(new Answering(Answering.How.Return, abi.encode(bytes4(0xffffffff)))));
        refused(address(new Answering(Answering.How.Return, abi.encode(uint256(1))))); // true
        refused(address(new Answering(Answering.How.Return, abi.encode(uint256(0x1626ba7e))))); // at the wrong end
        refused(address(new Answering(Answering.How.Return, abi.encodePacked(bytes4(0x1626ba7e), bytes28(uint224(1))))));
        refused(address(new Answering(Answering.How.Return, new bytes(100_000))));
        refused(address(new Answering(Answering.How.Revert, abi.encode(bytes4(0x1626ba7e))))); // good, but reverting
    }

    function testNoContractAtAll() external {
        refused(address(0xDEAD));
        refused(address(token)); // a contract that knows nothing of signatures
        refused(address(1)); // a precompile
    }

    /// A signature by the very key counts even if code was set for its account (EIP-7702).
    function testKeyWhoseAccountHasCode() external {
        Terms memory terms = termsBy(signer);
        vm.etch(signer, address(new Answering(Answering.How.Revert, "")).code);
        assertEq(channels.claim(terms.payment, claimOf(terms, 5)), 5, "claim");
    }

    /// An account of code that accepts anything signs away only what is its own.
    function testAcceptingAnything() external {
        Answering easy = new Answering(Answering.How.Return, abi.encode(bytes4(0x1626ba7e)));
        Terms memory terms = termsBy(address(easy));
        Claim memory item = claimOf(terms, 5);
        item.signature = "";
        assertEq(channels.claim(terms.payment, item), 5, "its own");
        (terms,) = reach(Status.Open, termsOf(0));
        item = claimOf(terms, 5);
        item.signature = "";
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.claim(terms.payment, item);
    }

    /// A smart wallet as publisher: opened by somebody else, with notice and withdrawal by the wallet.
    function testWalletAsPublisher() external {
        Wallet wallet = new Wallet(publisher);
        token.mint(address(wallet), DEPOSIT);
        vm.prank(address(wallet));
        token.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        terms.agreement.publisher = address(wallet);
        bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
        vm.prank(stranger);
        channels.openFor(terms, DEPOSIT, START, signature, none);

        vm.expectRevert(IChannels.NotPublisher.selector); // the wallet's owner is not the wallet
        vm.prank(publisher);
        channels.notice(terms);
        vm.prank(address(wallet));
        channels.notice(terms);
        skip(NOTICE);
        vm.prank(address(wallet));
        channels.withdraw(terms);
        assertEq(token.balanceOf(address(wallet)), DEPOSIT, "wallet");
    }

    function testWalletsThatOpenNothing() external {
        address[3] memory wallets = [
            address(new Answering(Answering.How.Revert, "")),
            address(new Answering(Answering.How.EatGas, "")),
            address(new Answering(Answering.How.Return, abi.encode(uint256(1))))
        ];
        for (uint256 i; i < 3; ++i) {
            Terms memory terms = termsOf(i);
            terms.agreement.publisher = wallets[i];
            bytes memory signature = sign(PUBLISHER_KEY, channels.openDigest(terms, DEPOSIT, START));
            vm.expectRevert(IChannels.BadSignature.selector);
            channels.openFor{gas: 10_000_000}(terms, DEPOSIT, START, signature, none);
        }
    }
}
