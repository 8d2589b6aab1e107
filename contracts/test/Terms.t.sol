// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channels} from "../src/Channels.sol";
import {Agreement, ChannelId, Claim, IChannels, Payee, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";

/// @notice The vectors that Go runs too.
contract TermsTest is Base {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../docs/protocol/vectors/channels.json");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.prank(vm.parseJsonAddress(json, ".deployer"));
        channels = new Channels();
        assertEq(uint160(address(channels)), uint160(vm.parseJsonAddress(json, ".contract")), "address of the contract");
    }

    function item(string memory list, uint256 i) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "]");
    }

    function read(string memory key) private view returns (Terms memory terms) {
        terms.agreement = Agreement({
            publisher: vm.parseJsonAddress(json, string.concat(key, ".publisher")),
            app: vm.parseJsonBytes32(json, string.concat(key, ".app")),
            tariff: vm.parseJsonBytes32(json, string.concat(key, ".tariff")),
            quote: vm.parseJsonBytes32(json, string.concat(key, ".quote")),
            notice: uint40(vm.parseJsonUint(json, string.concat(key, ".notice"))),
            salt: vm.parseJsonBytes32(json, string.concat(key, ".salt"))
        });
        terms.payment.token = vm.parseJsonAddress(json, string.concat(key, ".token"));
        terms.payment.payout = vm.parseJsonAddress(json, string.concat(key, ".payout"));
        terms.payment.signer = vm.parseJsonAddress(json, string.concat(key, ".signer"));
        terms.cap = uint88(vm.parseJsonUint(json, string.concat(key, ".cap")));
        terms.window = uint40(vm.parseJsonUint(json, string.concat(key, ".window")));
        uint256 count;
        while (vm.keyExistsJson(json, string.concat(key, ".payees[", vm.toString(count), "]"))) ++count;
        terms.payment.payees = new Payee[](count);
        for (uint256 i; i < count; ++i) {
            string memory payee = string.concat(key, ".payees[", vm.toString(i), "]");
            terms.payment.payees[i] = Payee({
                account: vm.parseJsonAddress(json, string.concat(payee, ".account")),
                share: uint32(vm.parseJsonUint(json, string.concat(payee, ".share")))
            });
        }
    }

    function testHashes() external view {
        for (uint256 i; vm.keyExistsJson(json, item("channels", i)); ++i) {
            string memory key = item("channels", i);
            Terms memory terms = read(string.concat(key, ".terms"));
            uint256 total = vm.parseJsonUint(json, string.concat(key, ".total"));
            uint256 deadline = vm.parseJsonUint(json, string.concat(key, ".deadline"));
            ChannelId id = channels.channelId(terms);
            same(channels.hashAgreement(terms.agreement), key, ".agreementHash");
            same(ChannelId.unwrap(id), key, ".id");
            same(channels.voucherDigest(id, total), key, ".voucherDigest");
            same(channels.releaseDigest(id, total), key, ".releaseDigest");
            same(channels.openDigest(terms, total, deadline), key, ".openDigest");
            signed(uint256(vm.parseJsonBytes32(json, ".signerKey")), key, ".voucher");
            signed(uint256(vm.parseJsonBytes32(json, ".signerKey")), key, ".release");
            signed(uint256(vm.parseJsonBytes32(json, ".publisherKey")), key, ".open");
        }
    }

    function same(bytes32 got, string memory key, string memory field) private view {
        assertEq(got, vm.parseJsonBytes32(json, string.concat(key, field)), string.concat(key, field));
    }

    function signed(uint256 signer_, string memory key, string memory what) private view {
        bytes memory want = vm.parseJsonBytes(json, string.concat(key, what, "Signature"));
        bytes memory got = sign(signer_, vm.parseJsonBytes32(json, string.concat(key, what, "Digest")));
        assertEq(keccak256(got), keccak256(want), string.concat(key, what, "Signature"));
    }

    function testRefusals() external {
        for (uint256 i; vm.keyExistsJson(json, item("refused", i)); ++i) {
            string memory key = item("refused", i);
            Terms memory terms = read(string.concat(key, ".terms"));
            string memory name = vm.parseJsonString(json, string.concat(key, ".error"));
            vm.expectRevert(bytes4(keccak256(bytes(string.concat(name, "()")))));
            vm.prank(terms.agreement.publisher);
            channels.open(terms, 1);
        }
    }

    /// Puts each vector's state into the one slot that a channel has, so this also fixes the slot's layout.
    function testClaims() external {
        for (uint256 i; vm.keyExistsJson(json, item("claims", i)); ++i) {
            string memory key = item("claims", i);
            Terms memory terms = termsOf(i);
            terms.cap = uint88(vm.parseJsonUint(json, string.concat(key, ".cap")));
            terms.window = uint40(vm.parseJsonUint(json, string.concat(key, ".window")));
            ChannelId id = channels.channelId(terms);
            uint256 packed = vm.parseJsonUint(json, string.concat(key, ".deposited"));
            packed |= vm.parseJsonUint(json, string.concat(key, ".claimed")) << 88;
            packed |= vm.parseJsonUint(json, string.concat(key, ".spentUntil")) << 176;
            packed |= vm.parseJsonUint(json, string.concat(key, ".noticeEnd")) << 216;
            vm.store(address(channels), slotOf(id), bytes32(packed));
            token.mint(address(channels), vm.parseJsonUint(json, string.concat(key, ".deposited")));
            vm.warp(vm.parseJsonUint(json, string.concat(key, ".now")));

            uint256 total = vm.parseJsonUint(json, string.concat(key, ".total"));
            uint256 want = vm.parseJsonUint(json, string.concat(key, ".amount"));
            string memory name = vm.parseJsonString(json, string.concat(key, ".name"));
            assertEq(channels.claimable(terms, total), want, name);
            if (want != 0) assertEq(channels.claim(terms.payment, claimOf(terms, total)), want, name);
            uint256 after_ = vm.parseJsonUint(json, string.concat(key, ".spentUntilAfter"));
            assertEq(channels.state(id).spentUntil, after_, name);
        }
    }

    function testSplits() external {
        for (uint256 i; vm.keyExistsJson(json, item("splits", i)); ++i) {
            string memory key = item("splits", i);
            uint256 count;
            while (vm.keyExistsJson(json, string.concat(key, ".shares[", vm.toString(count), "]"))) ++count;
            Terms memory terms = termsOf(i);
            terms.cap = type(uint88).max;
            terms.payment.payout = address(uint160(2000 + 100 * i));
            terms.payment.payees = new Payee[](count);
            for (uint256 j; j < count; ++j) {
                uint256 share = vm.parseJsonUint(json, string.concat(key, ".shares[", vm.toString(j), "]"));
                address account = address(uint160(2001 + 100 * i + j));
                terms.payment.payees[j] = Payee({account: account, share: uint32(share)});
            }
            pay(terms, key);
        }
    }

    function pay(Terms memory terms, string memory key) private {
        uint256 total = vm.parseJsonUint(json, string.concat(key, ".total"));
        token.mint(publisher, total);
        vm.prank(publisher);
        token.approve(address(channels), total);
        vm.prank(publisher);
        channels.open(terms, total);
        skip(1);
        if (total > 1) channels.claim(terms.payment, claimOf(terms, total / 2)); // in two goes, which must not matter
        skip(1);
        channels.claim(terms.payment, claimOf(terms, total));
        uint256 count = terms.payment.payees.length;
        for (uint256 j; j <= count; ++j) {
            string memory part = string.concat(key, ".parts[", vm.toString(j), "]");
            address account = j < count ? terms.payment.payees[j].account : terms.payment.payout;
            assertEq(token.balanceOf(account), vm.parseJsonUint(json, part), part);
        }
    }

    /// A chain that splits and changes its id strands no channel, while signatures of the other side are worth nothing.
    function testChainIdChanges() external {
        vm.prank(publisher);
        token.approve(address(channels), DEPOSIT);
        Terms memory terms = termsOf(0);
        ChannelId id = open(terms);
        skip(1);
        Claim memory old = claimOf(terms, 5);
        vm.chainId(4242);
        assertEq(ChannelId.unwrap(channels.channelId(terms)), ChannelId.unwrap(id), "id");
        vm.expectRevert(IChannels.BadSignature.selector);
        channels.claim(terms.payment, old);
        channels.claim(terms.payment, claimOf(terms, 5));
        vm.prank(payout);
        channels.close(terms);
        assertStatus(id, Status.Closed);
    }
}
