// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title TestToken
/// @notice Money for development: an ERC-20 token with permit that anyone may mint. Worth nothing, by design.
contract TestToken is ERC20Permit {
    constructor() ERC20("Apocryph Test Token", "TEST") ERC20Permit("Apocryph Test Token") {}

    /// @notice Makes `amount` out of nothing for `account`.
    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    /// @notice Six, like the stablecoins that apps are really paid in.
    function decimals() public pure override returns (uint8) {
        return 6;
    }
}
