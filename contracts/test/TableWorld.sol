// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChannelId, Claim, IChannels, Payee, Permit, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Refusing} from "./Mocks.sol";
import {vm} from "./Vm.sol";

/// @notice What a cell of the table takes place in: a channel in a state, a caller, the call, and what the table's words
/// stand for.
abstract contract TableWorld is Base {
    struct Row {
        string function_;
        string with;
        string[] by;
        string[5] cells;
    }

    string[5] internal states = ["None", "Open", "Notice", "Ended", "Closed"];
    string[5] internal callers = ["publisher", "payout", "signer", "payee", "stranger"];
    uint256[5] internal keys = [PUBLISHER_KEY, 0xBEEF, SIGNER_KEY, 0xFEE, 0x57A6];
    address internal elsewhere = address(0xE15E);

    Refusing internal coin;
    uint256 internal salt;
    bytes32 internal hash; // what the hash function of the row has to return

    // The cell that is being walked.
    string internal cell;
    uint256 internal key;
    address internal caller;
    bytes internal encoded; // its terms
    ChannelId internal id;

    function setUp() public virtual override {
        super.setUp();
        payout = vm.addr(keys[1]);
        stranger = vm.addr(keys[4]);
        coin = new Refusing();
        for (uint256 i; i < 5; ++i) {
            coin.mint(vm.addr(keys[i]), 1e12);
        }
    }

    /// @dev A new channel in this state. 1000 were claimed unless it was never opened.
    function bring(Status status) internal {
        vm.warp(START);
        Terms memory terms = termsOf(++salt);
        terms.payment.token = address(coin);
        terms.payment.payees = new Payee[](1);
        terms.payment.payees[0] = Payee({account: vm.addr(keys[3]), share: 100_000});
        encoded = abi.encode(terms);
        id = channels.channelId(terms);
        for (uint256 i; i < 5; ++i) {
            vm.prank(vm.addr(keys[i]));
            coin.approve(address(channels), type(uint256).max);
        }
        if (status == Status.None) return;
        open(terms);
        skip(10_000);
        channels.claim(terms.payment, claimOf(terms, 1000));
        if (status == Status.Notice || status == Status.Ended) {
            vm.prank(publisher);
            channels.notice(terms);
        }
        if (status == Status.Ended) skip(NOTICE);
        if (status == Status.Closed) {
            vm.prank(payout);
            channels.close(terms);
        }
        assertStatus(id, status);
    }

    /// @dev Makes it so that the caller has a credit of 7, the way it comes about: a transfer to them was refused.
    function giveCredit() internal {
        uint256 have = channels.credit(address(coin), caller);
        if (have == 7) return;
        assertEq(have, 0, "credit at first");
        uint256 time = block.timestamp;
        Terms memory side = termsOf(++salt);
        side.payment.token = address(coin);
        side.payment.payout = caller;
        open(side);
        skip(1);
        coin.refuse(caller, true);
        channels.claim(side.payment, claimOf(side, 7));
        coin.refuse(caller, false);
        vm.warp(time);
    }

    function encode(Row memory row) internal returns (bytes memory) {
        string memory f = row.function_;
        if (same(f, "open")) return abi.encodeCall(IChannels.open, (its(), amountOf(row.with, 1_000_000)));
        if (same(f, "openWithPermit")) {
            return abi.encodeCall(IChannels.openWithPermit, (its(), 1_000_000, permit(1e6)));
        }
        if (same(f, "openFor")) return encodeOpenFor(row.with);
        if (same(f, "deposit")) return abi.encodeCall(IChannels.deposit, (its(), amountOf(row.with, 500)));
        if (same(f, "depositWithPermit")) {
            return abi.encodeCall(IChannels.depositWithPermit, (its(), 500, permit(500)));
        }
        if (same(f, "claim")) return abi.encodeCall(IChannels.claim, (its().payment, voucher(row.with)));
        if (same(f, "claimBatch")) {
            Claim[] memory items = new Claim[](1);
            items[0] = voucher(row.with);
            return abi.encodeCall(IChannels.claimBatch, (its().payment, items));
        }
        if (same(f, "release")) return abi.encodeCall(IChannels.release, (its(), 3000, releaseWith(row.with)));
        if (same(f, "notice")) return abi.encodeCall(IChannels.notice, (its()));
        if (same(f, "withdraw")) return abi.encodeCall(IChannels.withdraw, (its()));
        if (same(f, "close")) return abi.encodeCall(IChannels.close, (its()));
        if (same(f, "withdrawCredit")) return abi.encodeCall(IChannels.withdrawCredit, (address(coin), elsewhere));
        return encodeView(f, row.with);
    }

    function encodeView(string memory f, string memory with) internal returns (bytes memory) {
        if (same(f, "state")) return abi.encodeCall(IChannels.state, (id));
        if (same(f, "status")) return abi.encodeCall(IChannels.status, (id));
        if (same(f, "claimable")) {
            return abi.encodeCall(IChannels.claimable, (its(), same(with, "a total of 1000") ? 1000 : 3000));
        }
        if (same(f, "credit")) return abi.encodeCall(IChannels.credit, (address(coin), caller));
        if (same(f, "ONE")) return abi.encodeCall(IChannels.ONE, ());
        if (same(f, "MAX_PAYEES")) return abi.encodeCall(IChannels.MAX_PAYEES, ());
        if (same(f, "MIN_NOTICE")) return abi.encodeCall(IChannels.MIN_NOTICE, ());
        if (same(f, "MAX_NOTICE")) return abi.encodeCall(IChannels.MAX_NOTICE, ());
        // That the hashes are the right ones is for Terms.t.sol; here, that neither state nor caller changes them.
        bytes memory data;
        if (same(f, "channelId")) data = abi.encodeCall(IChannels.channelId, (its()));
        if (same(f, "hashAgreement")) data = abi.encodeCall(IChannels.hashAgreement, (its().agreement));
        if (same(f, "voucherDigest")) data = abi.encodeCall(IChannels.voucherDigest, (id, 3000));
        if (same(f, "releaseDigest")) data = abi.encodeCall(IChannels.releaseDigest, (id, 3000));
        if (same(f, "openDigest")) data = abi.encodeCall(IChannels.openDigest, (its(), 3000, START));
        require(data.length != 0, string.concat("the table has a function that this test has not: ", f));
        (, bytes memory result) = address(channels).call(data);
        hash = abi.decode(result, (bytes32));
        return data;
    }

    function encodeOpenFor(string memory with) internal view returns (bytes memory) {
        uint256 deadline = same(with, "the publisher's signature, too late") ? block.timestamp - 1 : block.timestamp;
        uint256 by = same(with, "another signature") ? 0xBAD : PUBLISHER_KEY;
        bytes memory signature = sign(by, channels.openDigest(its(), 1_000_000, deadline));
        Permit memory none;
        return abi.encodeCall(IChannels.openFor, (its(), 1_000_000, deadline, signature, none));
    }

    function voucher(string memory with) internal view returns (Claim memory item) {
        item = claimOf(its(), same(with, "a voucher paid already") ? 1000 : 3000);
        if (same(with, "another signature")) item.signature = sign(0xBAD, channels.voucherDigest(id, 3000));
    }

    function releaseWith(string memory with) internal view returns (bytes memory) {
        if (same(with, "another signature")) return sign(0xBAD, channels.releaseDigest(id, 3000));
        if (same(with, "the signer's voucher")) return claimOf(its(), 3000).signature;
        return releaseOf(its(), 3000);
    }

    /// @dev A permit by the caller, who has no other allowance.
    function permit(uint256 amount) internal returns (Permit memory) {
        vm.prank(caller);
        coin.approve(address(channels), 0);
        return permitBy(key, coin, amount);
    }

    function amountOf(string memory with, uint256 usual) internal pure returns (uint256) {
        if (same(with, "an amount of 0")) return 0;
        if (same(with, unicode"an amount of 2⁸⁸")) return 1 << 88;
        if (same(with, unicode"an amount that makes it 2⁸⁸")) return (1 << 88) - 1_000_000;
        require(bytes(with).length == 0, string.concat("the table calls with what this test has not: ", with));
        return usual;
    }

    function its() internal view returns (Terms memory) {
        return abi.decode(encoded, (Terms));
    }

    /* WORDS */

    /// @dev What a word of the table stands for.
    function word(string memory w) internal view returns (bytes32) {
        if (same(w, "id")) return ChannelId.unwrap(id);
        if (same(w, "hash")) return hash;
        if (same(w, "now")) return bytes32(block.timestamp);
        if (same(w, "now+7200")) return bytes32(block.timestamp + 7200);
        if (same(w, "opened+10")) return bytes32(START + 10);
        if (same(w, "opened+30")) return bytes32(START + 30);
        if (same(w, "closed")) return bytes32(uint256(type(uint40).max));
        if (same(w, "token")) return wordOf(address(coin));
        if (same(w, "contract")) return wordOf(address(channels));
        if (same(w, "caller")) return wordOf(caller);
        if (same(w, "elsewhere")) return wordOf(elsewhere);
        for (uint256 i; i < 5; ++i) {
            if (same(w, callers[i])) return wordOf(vm.addr(keys[i]));
        }
        if (bytes(w)[0] >= "A") return bytes32(bytes4(keccak256(bytes(string.concat(w, "()"))))); // an error
        return bytes32(vm.parseUint(w));
    }

    function wordOf(address account) internal pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    function wordAt(bytes memory data, uint256 i) internal pure returns (bytes32 found) {
        for (uint256 j; j < 32; ++j) {
            found |= bytes32(data[32 * i + j]) >> (8 * j);
        }
    }

    function holders() internal view returns (address[7] memory all) {
        for (uint256 i; i < 5; ++i) {
            all[i] = vm.addr(keys[i]);
        }
        (all[5], all[6]) = (address(channels), elsewhere);
    }

    function holder(address account) internal view returns (uint256) {
        address[7] memory all = holders();
        for (uint256 i; i < 7; ++i) {
            if (all[i] == account) return i;
        }
        revert("nobody of the table");
    }

    function balancesNow() internal view returns (uint256[7] memory balances) {
        address[7] memory all = holders();
        for (uint256 i; i < 7; ++i) {
            balances[i] = coin.balanceOf(all[i]);
        }
    }

    function moved(uint256[7] memory want) internal view {
        uint256[7] memory got = balancesNow();
        for (uint256 i; i < 7; ++i) {
            assertEq(
                got[i], want[i], string.concat(cell, ": balance of ", i < 5 ? callers[i] : "contract or elsewhere")
            );
        }
    }

    function same(string memory a, string memory b) internal pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function creditSlotOf(address account) internal view returns (bytes32) {
        return keccak256(abi.encode(account, keccak256(abi.encode(address(coin), CREDIT_SLOT))));
    }
}
