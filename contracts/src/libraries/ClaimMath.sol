// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Payee, State} from "../interfaces/IChannels.sol";

/// @title ClaimMath
/// @notice What a claim pays, and to whom: the arithmetic of channels, without storage, calls or a clock.
/// @dev Apart from the contract so that provers can be run on the very code that ships: see contracts/smt.
library ClaimMath {
    /// @dev The whole, in parts per million.
    uint256 internal constant ONE = 1_000_000;

    /// @dev What a voucher over `total` can claim at `time`; `channel` becomes what it is after that claim.
    function spend(State memory channel, uint256 cap, uint256 window, uint256 total, uint256 time)
        internal
        pure
        returns (uint256 amount)
    {
        if (channel.noticeEnd != 0 && time >= channel.noticeEnd) return 0;

        uint256 until;
        (amount, until) = due(channel.deposited, channel.claimed, channel.spentUntil, cap, window, total, time);
        if (amount == 0) return 0;

        // casting to uint88 is safe: no more than deposited
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.claimed += uint88(amount);
        // casting to uint40 is safe: no later than time
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.spentUntil = uint40(until);
    }

    /// @dev What is due at `time` of a channel with these amounts, and up to when its cap is used up then.
    ///
    /// Seconds of cap are spent, not reset: a claim that needs little leaves the rest to the next one. If they were
    /// reset, anyone could submit an old voucher just before a release, and the provider would lose what the release
    /// was to pay. Rounding up favours the publisher, and costs a provider nothing whose vouchers are whole seconds
    /// apart and within the cap.
    function due(
        uint256 deposited,
        uint256 claimed,
        uint256 spentUntil,
        uint256 cap,
        uint256 window,
        uint256 total,
        uint256 time
    ) internal pure returns (uint256 amount, uint256 until) {
        until = spentUntil;
        if (total > deposited) total = deposited;
        if (total <= claimed) return (0, until);

        if (time > window && until < time - window) until = time - window;
        amount = cap * (time - until);
        if (amount > total - claimed) amount = total - claimed;
        if (amount != 0) until += (amount - 1) / cap + 1;
    }

    /// @dev Adds to `parts`, provider last, what each is due when the claimed total goes from `from` to `to`.
    ///
    /// Each payee in turn gets share/left of what those before left over, rounded down, where `left` is what is
    /// unshared of the whole; the provider gets the rest. So the first payee's total is floor(total * share), everyone
    /// has at least the floor of their share at any time, all parts sum to the total, and no part ever shrinks while
    /// the total grows (which plain floors don't give: with two halves, a total of 1 leaves the provider 1, and a total
    /// of 2 leaves nothing).
    function split(Payee[] calldata payees, uint256 from, uint256 to, uint256[] memory parts) internal pure {
        uint256 left = ONE;
        for (uint256 i; i < payees.length; ++i) {
            uint256 share = payees[i].share;
            uint256 partFrom = part(from, share, left);
            uint256 partTo = part(to, share, left);
            parts[i] += partTo - partFrom;
            from -= partFrom;
            to -= partTo;
            left -= share;
        }
        parts[payees.length] += to - from;
    }

    /// @dev share/left of a total, rounded down.
    function part(uint256 total, uint256 share, uint256 left) internal pure returns (uint256) {
        return total * share / left;
    }
}
