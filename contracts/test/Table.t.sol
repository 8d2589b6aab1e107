// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IChannels, State, Status} from "../src/interfaces/IChannels.sol";
import {TableWorld} from "./TableWorld.sol";
import {Vm, vm} from "./Vm.sol";

/// @notice Walks docs/protocol/vectors/channels-table.json, which is the table of docs/protocol/channels.md: every
/// state, caller and function. Each cell is done on a channel of its own, which was brought into that state; the call
/// has to do what the cell says, to the unit and to the slot, and nothing else.
contract TableTest is TableWorld {
    string private json;
    mapping(bytes32 functionHash => bool) private walked;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../docs/protocol/vectors/channels-table.json");
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

    function list(string memory path) private view returns (string[] memory) {
        if (!vm.keyExistsJson(json, path)) return new string[](0);
        return vm.parseJsonStringArray(json, path);
    }

    function entry(string memory name, uint256 i) private pure returns (string memory) {
        return string.concat(".", name, "[", vm.toString(i), "]");
    }
}
