// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channels} from "../src/Channels.sol";
import {ChannelId, State, Status, Terms} from "../src/interfaces/IChannels.sol";
import {Base} from "./Base.t.sol";
import {Blocklisting} from "./Mocks.sol";
import {vm} from "./Vm.sol";

/// @notice Does whatever anybody may do, in any order, with money that sometimes can't be delivered.
contract Handler is Base {
    Blocklisting public coin;
    bytes[] private all; // encoded Terms
    uint256 public refunded;
    mapping(ChannelId => bool) public wasClosed;

    constructor() {
        setUp();
    }

    function setUp() public override {
        if (address(coin) != address(0)) return; // the fuzzer calls it too
        super.setUp();
        coin = new Blocklisting();
        coin.mint(publisher, 1e30);
        vm.prank(publisher);
        coin.approve(address(channels), type(uint256).max);
    }

    function contractUnderTest() external view returns (Channels) {
        return channels;
    }

    function termsAt(uint256 i) external view returns (Terms memory) {
        return abi.decode(all[i], (Terms));
    }

    function count() external view returns (uint256) {
        return all.length;
    }

    function someone(uint256 who) private view returns (address) {
        address[4] memory accounts = [publisher, payout, address(1001), address(1002)];
        return accounts[who % 4];
    }

    function some(uint256 which) private view returns (Terms memory terms, ChannelId id, Status status) {
        terms = abi.decode(all[which % all.length], (Terms));
        id = channels.channelId(terms);
        status = channels.status(id);
    }

    function open(uint32 a, uint32 b, uint64 amount) external {
        uint32 first = 1 + a % 999_999;
        Terms memory terms = withPayees(termsOf(all.length), shares(first, 1 + b % (1_000_000 - first)));
        terms.payment.token = address(coin);
        terms.cap = 1 + uint88(b);
        terms.window = 1 + a % 100_000;
        vm.prank(publisher);
        channels.open(terms, uint256(amount) + 1);
        all.push(abi.encode(terms));
    }

    function deposit(uint256 which, uint64 amount) external {
        if (all.length == 0) return;
        (Terms memory terms,, Status status) = some(which);
        if (status != Status.Open && status != Status.Notice) return;
        vm.prank(publisher);
        channels.deposit(terms, uint256(amount) + 1);
    }

    function claim(uint256 which, uint72 total) external {
        if (all.length == 0) return;
        (Terms memory terms,,) = some(which);
        if (channels.claimable(terms, total) == 0) return;
        channels.claim(terms.payment, claimOf(terms, total));
    }

    function notice(uint256 which) external {
        if (all.length == 0) return;
        (Terms memory terms,, Status status) = some(which);
        if (status != Status.Open) return;
        vm.prank(publisher);
        channels.notice(terms);
    }

    function withdraw(uint256 which) external {
        if (all.length == 0) return;
        (Terms memory terms, ChannelId id, Status status) = some(which);
        if (status != Status.Ended) return;
        vm.prank(publisher);
        channels.withdraw(terms);
        closed(id);
    }

    function close(uint256 which) external {
        if (all.length == 0) return;
        (Terms memory terms, ChannelId id, Status status) = some(which);
        if (status == Status.Closed || which % 3 != 0) return; // rarely, or little would live
        vm.prank(payout);
        channels.close(terms);
        closed(id);
    }

    function release(uint256 which, uint72 total) external {
        if (all.length == 0) return;
        (Terms memory terms, ChannelId id, Status status) = some(which);
        if (status == Status.Closed || which % 3 != 0) return;
        channels.release(terms, total, releaseOf(terms, total));
        closed(id);
    }

    function closed(ChannelId id) private {
        wasClosed[id] = true;
        State memory state = channels.state(id);
        refunded += state.deposited - state.claimed;
    }

    function withdrawCredit(uint256 who) external {
        address account = someone(who);
        if (channels.credit(address(coin), account) == 0) return;
        vm.prank(account);
        channels.withdrawCredit(address(coin), address(0xE15E));
    }

    function toggle(uint256 who, bool blocked) external {
        coin.set(someone(who), blocked);
    }

    function pass(uint24 time) external {
        skip(time);
    }
}

contract InvariantTest {
    Handler private handler;

    function setUp() external {
        handler = new Handler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// Nobody sends tokens here otherwise, so what there is equals what is owed.
    function invariantSolvent() external view {
        Channels channels = handler.contractUnderTest();
        address coin = address(handler.coin());
        uint256 owed;
        for (uint256 i; i < handler.count(); ++i) {
            ChannelId id = channels.channelId(handler.termsAt(i));
            State memory state = channels.state(id);
            require(state.claimed <= state.deposited, "claimed above deposited");
            require(state.spentUntil <= block.timestamp, "spent the future");
            bool closed = channels.status(id) == Status.Closed;
            require(closed == handler.wasClosed(id), "a tombstone moved");
            if (!closed) owed += state.deposited - state.claimed;
        }
        address[4] memory accounts = [vm.addr(0xA11CE), address(0xBEEF), address(1001), address(1002)];
        for (uint256 i; i < 4; ++i) {
            owed += channels.credit(coin, accounts[i]);
        }
        require(owed == handler.coin().balanceOf(address(channels)), "insolvent");
    }
}
