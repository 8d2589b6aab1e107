// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channels} from "../src/Channels.sol";
import {ChannelId, Claim, IChannels, Payee, Permit, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Refusing} from "./Mocks.sol";
import {Vm, vm} from "./Vm.sol";

/// @notice Walks docs/protocol/vectors/channels-table.json, which is the table of docs/protocol/channels.md: every
/// state, caller and function. Each cell is done on a channel of its own, which was brought into that state; the call
/// has to do what the cell says, to the unit and to the slot, and nothing else.
contract TableTest is Base {
    struct Row {
        string function_;
        string with;
        string[] by;
        string[5] cells;
    }

    string[5] private states = ["None", "Open", "Notice", "Ended", "Closed"];
    string[5] private callers = ["publisher", "payout", "signer", "payee", "stranger"];
    uint256[5] private keys = [PUBLISHER_KEY, 0xBEEF, SIGNER_KEY, 0xFEE, 0x57A6];
    address private elsewhere = address(0xE15E);

    string private json;
    Refusing private coin;
    uint256 private salt;
    bytes32 private hash; // what the hash function of the row has to return
    mapping(bytes32 functionHash => bool) private walked;

    // The cell that is being walked.
    string private cell;
    uint256 private key;
    address private caller;
    bytes private encoded; // its terms
    ChannelId private id;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../docs/protocol/vectors/channels-table.json");
        payout = vm.addr(keys[1]);
        stranger = vm.addr(keys[4]);
        coin = new Refusing();
        for (uint256 i; i < 5; ++i) {
            coin.mint(vm.addr(keys[i]), 1e12);
        }
    }

    function testOpen() external {
        walk("open");
    }

    function testOpenWithPermit() external {
        walk("openWithPermit");
    }

    function testOpenFor() external {
        walk("openFor");
    }

    function testDeposit() external {
        walk("deposit");
    }

    function testDepositWithPermit() external {
        walk("depositWithPermit");
    }

    function testClaim() external {
        walk("claim");
    }

    function testClaimBatch() external {
        walk("claimBatch");
    }

    function testRelease() external {
        walk("release");
    }

    function testNotice() external {
        walk("notice");
    }

    function testWithdraw() external {
        walk("withdraw");
    }

    function testClose() external {
        walk("close");
    }

    function testWithdrawCredit() external {
        walk("withdrawCredit");
    }

    /// Whatever is not walked above: the views.
    function testViews() external {
        string[12] memory others = [
            "open",
            "openWithPermit",
            "openFor",
            "deposit",
            "depositWithPermit",
            "claim",
            "claimBatch",
            "release",
            "notice",
            "withdraw",
            "close",
            "withdrawCredit"
        ];
        for (uint256 i; i < others.length; ++i) {
            walked[keccak256(bytes(others[i]))] = true;
        }
        for (uint256 i; vm.keyExistsJson(json, entry("rows", i)); ++i) {
            string memory name = vm.parseJsonString(json, string.concat(entry("rows", i), ".function"));
            if (walked[keccak256(bytes(name))]) continue;
            walked[keccak256(bytes(name))] = true;
            walk(name);
        }
    }

    /* WALKING */

    /// @dev Walks the rows of one function, for which each caller has to be in one row for each thing it is called
    /// with.
    function walk(string memory function_) private {
        uint256 cells;
        for (uint256 i; vm.keyExistsJson(json, entry("rows", i)); ++i) {
            if (!same(vm.parseJsonString(json, string.concat(entry("rows", i), ".function")), function_)) continue;
            Row memory row = read(entry("rows", i), function_);
            for (uint256 j; j < row.by.length; ++j) {
                for (uint256 k; k < 5; ++k) {
                    visit(row, row.by[j], Status(k), row.cells[k]);
                    ++cells;
                }
            }
        }
        require(cells >= 25, "fewer cells than states and callers");
    }

    function read(string memory path, string memory function_) private view returns (Row memory row) {
        row.function_ = function_;
        string memory with = string.concat(path, ".with");
        if (vm.keyExistsJson(json, with)) row.with = vm.parseJsonString(json, with);
        row.by = vm.parseJsonStringArray(json, string.concat(path, ".by"));
        for (uint256 i; i < 5; ++i) {
            row.cells[i] = vm.parseJsonString(json, string.concat(path, ".", states[i]));
        }
    }

    function visit(Row memory row, string memory by, Status status, string memory outcome) private {
        cell = string.concat(row.function_, " with ", row.with, " by ", by, " in ", states[uint256(status)]);
        for (uint256 i; i < 5; ++i) {
            if (same(by, callers[i])) key = keys[i];
        }
        caller = vm.addr(key);
        bring(status);
        bool creditor = !same(row.with, "no credit");
        if (creditor) giveCredit();
        bytes memory data = encode(row);
        State memory before = channels.state(id);
        uint256[7] memory balances = balancesNow();

        vm.record();
        vm.recordLogs();
        vm.prank(caller);
        (bool ok, bytes memory result) = address(channels).call(data);

        string memory path = string.concat(".outcomes.", outcome);
        if (vm.keyExistsJson(json, path)) {
            require(ok, string.concat(cell, ": reverts with ", vm.toString(result)));
            does(path, result, before, balances);
            if (same(row.function_, "withdrawCredit")) creditor = false;
        } else {
            require(!ok, string.concat(cell, ": does not revert"));
            bytes memory want = abi.encodePacked(bytes4(keccak256(bytes(string.concat(outcome, "()")))));
            assertEq(keccak256(result), keccak256(want), string.concat(cell, ": error ", vm.toString(result)));
            assertState(id, before);
            moved(balances);
        }
        assertEq(channels.credit(address(coin), caller), creditor ? 7 : 0, string.concat(cell, ": credit"));
    }

    /// @dev What an outcome says, and nothing else: returned words, events, state, slots written, money moved.
    function does(string memory path, bytes memory result, State memory before, uint256[7] memory balances)
        private
        view
    {
        (, bytes32[] memory writes) = vm.accesses(address(channels));
        Vm.Log[] memory logs = vm.getRecordedLogs();

        string[] memory returned = list(string.concat(path, ".returns"));
        assertEq(result.length, 32 * returned.length, string.concat(cell, ": words returned"));
        for (uint256 i; i < returned.length; ++i) {
            assertEq(wordAt(result, i), word(returned[i]), string.concat(cell, ": returns ", returned[i]));
        }

        uint256 count;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].emitter != address(channels)) continue;
            string memory event_ = string.concat(path, ".events[", vm.toString(count++), "]");
            require(vm.keyExistsJson(json, event_), string.concat(cell, ": one event too many"));
            emitted(logs[i], vm.parseJsonStringArray(json, event_));
        }
        string memory next = string.concat(path, ".events[", vm.toString(count), "]");
        require(!vm.keyExistsJson(json, next), string.concat(cell, ": one event missing"));

        string[] memory state = list(string.concat(path, ".state"));
        if (state.length != 0) {
            if (!same(state[0], "same")) before.deposited = uint88(uint256(word(state[0])));
            if (!same(state[1], "same")) before.claimed = uint88(uint256(word(state[1])));
            if (!same(state[2], "same")) before.spentUntil = uint40(uint256(word(state[2])));
            if (!same(state[3], "same")) before.noticeEnd = uint40(uint256(word(state[3])));
        }
        assertState(id, before);
        for (uint256 i; i < writes.length; ++i) {
            bool own = state.length != 0 && writes[i] == slotOf(id);
            bool credit = count == 1 && logs[0].topics[0] == IChannels.CreditWithdrawn.selector;
            require(own || (credit && writes[i] == creditSlotOf(caller)), string.concat(cell, ": writes elsewhere"));
        }

        string memory moves = string.concat(path, ".moves[0]");
        for (uint256 i; vm.keyExistsJson(json, moves); moves = string.concat(path, ".moves[", vm.toString(++i), "]")) {
            string[] memory move = vm.parseJsonStringArray(json, moves);
            uint256 amount = uint256(word(move[2]));
            balances[holder(address(uint160(uint256(word(move[0])))))] -= amount;
            balances[holder(address(uint160(uint256(word(move[1])))))] += amount;
        }
        moved(balances);
    }

    function emitted(Vm.Log memory log, string[] memory want) private view {
        assertEq(log.topics[0], keccak256(bytes(want[0])), string.concat(cell, ": event ", want[0]));
        assertEq(
            log.topics.length + log.data.length / 32, want.length, string.concat(cell, ": words of the event ", want[0])
        );
        for (uint256 i = 1; i < want.length; ++i) {
            bytes32 got = i < log.topics.length ? log.topics[i] : wordAt(log.data, i - log.topics.length);
            assertEq(got, word(want[i]), string.concat(cell, ": ", want[0], ": ", want[i]));
        }
    }

    /* THE WORLD OF A CELL */

    /// @dev A new channel in this state. 1000 were claimed unless it was never opened.
    function bring(Status status) private {
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
    function giveCredit() private {
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

    function encode(Row memory row) private returns (bytes memory) {
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

    function encodeView(string memory f, string memory with) private returns (bytes memory) {
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

    function encodeOpenFor(string memory with) private view returns (bytes memory) {
        uint256 deadline = same(with, "the publisher's signature, too late") ? block.timestamp - 1 : block.timestamp;
        uint256 by = same(with, "another signature") ? 0xBAD : PUBLISHER_KEY;
        bytes memory signature = sign(by, channels.openDigest(its(), 1_000_000, deadline));
        Permit memory none;
        return abi.encodeCall(IChannels.openFor, (its(), 1_000_000, deadline, signature, none));
    }

    function voucher(string memory with) private view returns (Claim memory item) {
        item = claimOf(its(), same(with, "a voucher paid already") ? 1000 : 3000);
        if (same(with, "another signature")) item.signature = sign(0xBAD, channels.voucherDigest(id, 3000));
    }

    function releaseWith(string memory with) private view returns (bytes memory) {
        if (same(with, "another signature")) return sign(0xBAD, channels.releaseDigest(id, 3000));
        if (same(with, "the signer's voucher")) return claimOf(its(), 3000).signature;
        return releaseOf(its(), 3000);
    }

    /// @dev A permit by the caller, who has no other allowance.
    function permit(uint256 amount) private returns (Permit memory) {
        vm.prank(caller);
        coin.approve(address(channels), 0);
        return permitBy(key, coin, amount);
    }

    function amountOf(string memory with, uint256 usual) private pure returns (uint256) {
        if (same(with, "an amount of 0")) return 0;
        if (same(with, unicode"an amount of 2⁸⁸")) return 1 << 88;
        if (same(with, unicode"an amount that makes it 2⁸⁸")) return (1 << 88) - 1_000_000;
        require(bytes(with).length == 0, string.concat("the table calls with what this test has not: ", with));
        return usual;
    }

    function its() private view returns (Terms memory) {
        return abi.decode(encoded, (Terms));
    }

    /* WORDS */

    /// @dev What a word of the table stands for.
    function word(string memory w) private view returns (bytes32) {
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

    function wordOf(address account) private pure returns (bytes32) {
        return bytes32(uint256(uint160(account)));
    }

    function wordAt(bytes memory data, uint256 i) private pure returns (bytes32 found) {
        for (uint256 j; j < 32; ++j) {
            found |= bytes32(data[32 * i + j]) >> (8 * j);
        }
    }

    function holders() private view returns (address[7] memory all) {
        for (uint256 i; i < 5; ++i) {
            all[i] = vm.addr(keys[i]);
        }
        (all[5], all[6]) = (address(channels), elsewhere);
    }

    function holder(address account) private view returns (uint256) {
        address[7] memory all = holders();
        for (uint256 i; i < 7; ++i) {
            if (all[i] == account) return i;
        }
        revert("nobody of the table");
    }

    function balancesNow() private view returns (uint256[7] memory balances) {
        address[7] memory all = holders();
        for (uint256 i; i < 7; ++i) {
            balances[i] = coin.balanceOf(all[i]);
        }
    }

    function moved(uint256[7] memory want) private view {
        uint256[7] memory got = balancesNow();
        for (uint256 i; i < 7; ++i) {
            assertEq(
                got[i], want[i], string.concat(cell, ": balance of ", i < 5 ? callers[i] : "contract or elsewhere")
            );
        }
    }

    function list(string memory path) private view returns (string[] memory) {
        if (!vm.keyExistsJson(json, path)) return new string[](0);
        return vm.parseJsonStringArray(json, path);
    }

    function entry(string memory name, uint256 i) private pure returns (string memory) {
        return string.concat(".", name, "[", vm.toString(i), "]");
    }

    function same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }

    function creditSlotOf(address account) private view returns (bytes32) {
        return keccak256(abi.encode(account, keccak256(abi.encode(address(coin), CREDIT_SLOT))));
    }
}
