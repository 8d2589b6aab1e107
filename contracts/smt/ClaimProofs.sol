// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ClaimMath} from "../src/libraries/ClaimMath.sol";

/// @title ClaimProofs
/// @notice What holds of the arithmetic of claims whatever the numbers, as assertions that contracts/smt.sh has proved,
/// over the code that ships. Each function is one property and named for it. Never deployed.
/// @dev Numbers are as wide as the fields they come from. What is required of them first holds of every open channel:
/// opening makes it so, and `claimedStaysWithinDeposited` and `nothingIsSpentAheadOfTime` keep it so.
contract ClaimProofs {
    /* DUE */

    function paysNoMoreThanTheVoucherAdds(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (uint256 amount,) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(amount == 0 || amount <= total - claimed);
    }

    function claimedStaysWithinDeposited(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (uint256 amount,) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(claimed + amount <= deposited);
    }

    function paysNoMoreThanCapTimesWindow(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (uint256 amount,) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(amount <= uint256(cap) * window);
    }

    function paysNoMoreThanTheSecondsItSpends(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (uint256 amount, uint256 until) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(amount <= uint256(cap) * (until - spentUntil));
    }

    function nothingIsSpentAheadOfTime(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (, uint256 until) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(until <= time);
    }

    function whatIsSpentStaysSpent(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (, uint256 until) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(until >= spentUntil);
    }

    /* SHARES: one payee's turn. What a split adds up to follows by induction over the payees. */

    function aPartIsNoMoreThanTheRest(uint88 rest, uint32 share, uint32 left) external pure {
        require(share <= left && left != 0);
        assert(ClaimMath.part(rest, share, left) <= rest);
    }

    function noPartShrinks(uint88 from, uint88 to, uint32 share, uint32 left) external pure {
        require(share <= left && left != 0 && from <= to);
        assert(ClaimMath.part(from, share, left) <= ClaimMath.part(to, share, left));
    }

    function whatIsLeftToTheOthersDoesNotShrink(uint88 from, uint88 to, uint32 share, uint32 left) external pure {
        require(share <= left && left != 0 && from <= to);
        assert(from - ClaimMath.part(from, share, left) <= to - ClaimMath.part(to, share, left));
    }

    /// @dev The first payee's turn: the rest is the total.
    function theFirstPartIsTheFloor(uint88 total, uint32 share) external pure {
        require(share <= ClaimMath.ONE);
        assert(ClaimMath.part(total, share, ClaimMath.ONE) == uint256(total) * share / ClaimMath.ONE);
    }

    /// @dev If the rest is at least its share of the total, so is what a payee leaves of it.
    function theRestKeepsItsShareOfTheTotal(uint88 total, uint88 rest, uint32 share, uint32 left) external pure {
        require(share <= left && left != 0 && left <= ClaimMath.ONE && rest <= total);
        require(rest * ClaimMath.ONE >= uint256(total) * left);
        uint256 part = ClaimMath.part(rest, share, left);
        assert((rest - part) * ClaimMath.ONE >= uint256(total) * (left - share));
    }

    /// @dev Then every part is at least the floor of its share of the total.
    function everyPartIsAtLeastTheFloor(uint88 total, uint88 rest, uint32 share, uint32 left) external pure {
        require(share <= left && left != 0 && left <= ClaimMath.ONE && rest <= total);
        require(rest * ClaimMath.ONE >= uint256(total) * left);
        assert(ClaimMath.part(rest, share, left) >= uint256(total) * share / ClaimMath.ONE);
    }

    /* CONTROLS: wrong, and must be found so. Else the proofs above would say nothing. */

    function brokenPaysLessThanTheVoucherAdds(
        uint88 deposited,
        uint88 claimed,
        uint40 spentUntil,
        uint88 cap,
        uint40 window,
        uint256 total,
        uint40 time
    ) external pure {
        require(claimed <= deposited && spentUntil <= time && cap != 0);
        (uint256 amount,) = ClaimMath.due(deposited, claimed, spentUntil, cap, window, total, time);
        assert(amount == 0 || amount < total - claimed);
    }

    function brokenEveryPartIsTheFloor(uint88 total, uint88 rest, uint32 share, uint32 left) external pure {
        require(share <= left && left != 0 && left <= ClaimMath.ONE && rest <= total);
        require(rest * ClaimMath.ONE >= uint256(total) * left);
        assert(ClaimMath.part(rest, share, left) == uint256(total) * share / ClaimMath.ONE);
    }
}
