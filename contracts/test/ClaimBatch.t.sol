// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Agreement, ChannelId, Claim, IChannels, Payee, Payment, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";

contract ClaimBatchTest is Base {
    function batch(uint256 count, uint256 total) private returns (Claim[] memory items) {
        items = new Claim[](count);
        for (uint256 i; i < count; ++i) {
            (Terms memory terms,) = reach(Status.Open, withPayees(termsOf(i), shares(100_000, 200_000)));
            items[i] = claimOf(terms, total);
        }
    }

    function payment() private view returns (Payment memory) {
        return withPayees(termsOf(0), shares(100_000, 200_000)).payment;
    }

    function testOneTransferPerPayee() external {
        Claim[] memory items = batch(3, 1005);
        vm.expectCall(address(token), abi.encodeCall(token.transfer, (address(1001), 300)), 1);
        vm.expectCall(address(token), abi.encodeCall(token.transfer, (address(1002), 603)), 1);
        vm.expectCall(address(token), abi.encodeCall(token.transfer, (payout, 2112)), 1);
        uint256[] memory amounts = channels.claimBatch(payment(), items);
        for (uint256 i; i < 3; ++i) {
            assertEq(amounts[i], 1005, "amount");
        }
    }

    function testSkipsWhatWouldRevert() external {
        Claim[] memory good = batch(2, 10);
        Claim[] memory items = new Claim[](6);
        (items[0], items[1], items[2]) = (good[0], good[0], good[1]); // twice the same: the second pays nothing
        items[3] = claimOf(termsOf(99), 10); // other terms, never opened
        items[4] = claimOf(withPayees(termsOf(1), shares(100_000, 200_000)), 11);
        items[4].signature = good[0].signature;
        (Terms memory closed,) = reach(Status.Open, withPayees(termsOf(7), shares(100_000, 200_000)));
        vm.prank(payout);
        channels.close(closed);
        items[5] = claimOf(closed, 10);

        skipped(good[0], IChannels.NothingToClaim.selector);
        skipped(items[3], IChannels.NotOpened.selector);
        skipped(items[4], IChannels.BadSignature.selector);
        skipped(items[5], IChannels.AlreadyClosed.selector);
        uint256[] memory amounts = channels.claimBatch(payment(), items);

        assertEq(amounts[0] + amounts[2], 20, "the good ones");
        assertEq(amounts[1] + amounts[3] + amounts[4] + amounts[5], 0, "the others");
        assertEq(token.balanceOf(payout), 14, "payout");
        assertEq(token.balanceOf(address(1001)), 2, "first payee");
        assertEq(token.balanceOf(address(1002)), 4, "second payee");
    }

    function skipped(Claim memory item, bytes4 why) private {
        Payment memory by = payment();
        bytes32 termsHash = keccak256(
            abi.encode(
                keccak256(
                    "Terms(Payment payment,uint88 cap,uint40 window,Agreement agreement)Agreement(address publisher,bytes32 app,bytes32 tariff,bytes32 quote,uint40 notice,bytes32 salt)Payee(address account,uint32 share)Payment(address token,address payout,Payee[] payees,address signer)"
                ),
                hashPayment(by),
                item.cap,
                item.window,
                item.agreement
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Apocryph"),
                keccak256("1"),
                block.chainid,
                address(channels)
            )
        );
        ChannelId id = ChannelId.wrap(keccak256(abi.encodePacked("\x19\x01", domain, termsHash)));
        if (why == IChannels.NothingToClaim.selector) {
            vm.expectEmit(address(channels));
            emit IChannels.Claimed(id, 10, 10);
        }
        vm.expectEmit(address(channels));
        emit IChannels.ClaimSkipped(id, why);
    }

    function hashPayment(Payment memory by) private pure returns (bytes32) {
        bytes32[] memory payees = new bytes32[](by.payees.length);
        for (uint256 i; i < payees.length; ++i) {
            payees[i] = keccak256(abi.encode(keccak256("Payee(address account,uint32 share)"), by.payees[i]));
        }
        return keccak256(
            abi.encode(
                keccak256(
                    "Payment(address token,address payout,Payee[] payees,address signer)Payee(address account,uint32 share)"
                ),
                by.token,
                by.payout,
                keccak256(abi.encodePacked(payees)),
                by.signer
            )
        );
    }

    function testEmpty() external {
        assertEq(channels.claimBatch(payment(), new Claim[](0)).length, 0, "amounts");
    }

    /// A batch pays to the unit what the claims alone would.
    function testLikeAlone(uint16 total, uint8 count) external {
        vm.assume(total != 0);
        count = 1 + count % 5;
        Claim[] memory items = batch(count, total);
        channels.claimBatch(payment(), items);
        uint256 batched = token.balanceOf(address(1001));
        assertEq(batched, count * (uint256(total) / 10), "first payee");
        uint256 sum = batched + token.balanceOf(address(1002)) + token.balanceOf(payout);
        assertEq(sum, uint256(total) * count, "sum");
    }
}
