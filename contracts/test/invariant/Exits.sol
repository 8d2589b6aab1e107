// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {State, Terms} from "../../src/interfaces/IChannels.sol";
import {vm} from "../Vm.sol";
import {Books} from "./Books.sol";
import {Coin} from "./Coin.sol";

/// @notice The invariant that nobody delays or blocks an exit: both sides leave, in a world that is then thrown away.
abstract contract Exits is Books {
    /// @dev Not a failure: an exit that worked and is taken back.
    error Fine();

    uint256 public drills;

    /// @dev Both sides leave, each in a world that is then thrown away. Nothing that anybody did before may stand in the
    /// way.
    function drill(uint256 i) internal {
        touched = books[i].coinAt;
        if (books[i].closed) return;
        ++drills;
        uint256 time = block.timestamp;
        try this.leaveAsPublisher(i) {}
        catch (bytes memory result) {
            require(bytes4(result) == Fine.selector, string.concat("the publisher can't leave: ", string(result)));
        }
        vm.warp(time);
        try this.leaveAsProvider(i) {}
        catch (bytes memory result) {
            require(bytes4(result) == Fine.selector, string.concat("the provider can't leave: ", string(result)));
        }
    }

    function leaveAsPublisher(uint256 i) external {
        Book storage book = books[i];
        Terms memory terms = termsOf(book);
        if (book.noticeEnd == 0) {
            vm.prank(book.publisher);
            channels.notice(terms);
            book.noticeEnd = block.timestamp + book.notice;
        }
        if (block.timestamp < book.noticeEnd) vm.warp(book.noticeEnd);
        vm.prank(book.publisher);
        channels.withdraw{gas: CALL_GAS}(terms);
        left(book);
    }

    function leaveAsProvider(uint256 i) external {
        Terms memory terms = termsOf(books[i]);
        vm.prank(books[i].payout);
        channels.close{gas: CALL_GAS}(terms);
        left(books[i]);
    }

    function left(Book storage book) private {
        bookClose(book);
        State memory state = channels.state(book.id);
        require(state.noticeEnd == type(uint40).max, "left and not closed");
        Coin coin = book.coin;
        uint256 got = coin.balanceOf(book.publisher) + channels.credit(address(coin), book.publisher);
        bool exact = uint256(coin.habit()) < uint256(Coin.Habit.Fee);
        require(!exact || got == wealth[coin][book.publisher], "left without what was left");
        revert Fine();
    }
}
