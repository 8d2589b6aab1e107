// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.t.sol";
import {vm} from "./Vm.sol";

contract TestTokenTest is Base {
    function testAnyoneMints(address account, uint128 amount) external {
        vm.assume(account != address(0));
        uint256 before = token.balanceOf(account);
        vm.prank(stranger);
        token.mint(account, amount);
        assertEq(token.balanceOf(account), before + amount, "balance");
        assertEq(token.decimals(), 6, "decimals");
    }
}
