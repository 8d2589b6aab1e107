// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A token with the habits that tokens have, each to be switched on by anyone: it refuses receivers, keeps a fee,
/// answers nothing or no, and takes back what it gave. The reference model in Go runs against it.
contract OddToken is ERC20 {
    /// @dev Yes: as the standard says. Nothing: moves the money and returns no data. No: moves nothing, returns false.
    enum Answer {
        Yes,
        Nothing,
        No
    }

    error Blocked();

    mapping(address => bool) public blocked;
    Answer public answer;
    uint256 public fee; // parts per million of each transfer, destroyed

    constructor() ERC20("Odd", "ODD") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function burn(address account, uint256 amount) external {
        _burn(account, amount);
    }

    function setBlocked(address account, bool value) external {
        blocked[account] = value;
    }

    function setAnswer(Answer value) external {
        answer = value;
    }

    function setFee(uint256 value) external {
        fee = value;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        if (answer == Answer.No) return false;
        super.transfer(to, amount);
        return _answer();
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        if (answer == Answer.No) return false;
        super.transferFrom(from, to, amount);
        return _answer();
    }

    function _answer() private view returns (bool) {
        if (answer == Answer.Yes) return true;
        assembly ("memory-safe") {
            return(0, 0)
        }
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[to], Blocked());
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0), amount * fee / 1_000_000);
    }
}
