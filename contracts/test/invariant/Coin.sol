// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A token with one bad habit, which it has towards the receivers that it is told to be bad to.
/// @dev Up to ReturnBomb, balances change only by transfers of exactly the amount asked for. Fee and Shrinking break
/// that.
contract Coin {
    enum Habit {
        None,
        NoAnswer, // moves the money and returns no data
        Revert, // a block list
        False, // returns false and moves nothing
        Reenter, // calls back into the contract, from transfer, transferFrom and permit
        BurnGas, // eats all gas it is given
        ReturnBomb, // reverts with 100 kB of data
        Fee, // keeps a hundredth of each transfer
        Shrink // takes back what it gave
    }

    Habit public immutable habit;
    uint8 public immutable decimals;
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public badTo;

    address private target;
    bytes private data;
    uint256 public reentered; // calls back that came through
    uint256 public tried;
    bytes4 public answer; // to the latest of them: an error, or nothing

    constructor(Habit habit_, uint8 decimals_) {
        (habit, decimals) = (habit_, decimals_);
    }

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function setBadTo(address account, bool value) external {
        badTo[account] = value;
    }

    function arm(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function shrink(address account) external {
        balanceOf[account] -= balanceOf[account] / 16;
    }

    /// @dev No permit is ever good here; but a token may do anything in it.
    function permit(address, address, uint256, uint256, uint8, bytes32, bytes32) external {
        callBack();
        revert("no permits");
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        if (badTo[to]) {
            if (habit == Habit.False || habit == Habit.Reenter) return false;
            require(habit != Habit.Revert, "blocked");
            if (habit == Habit.BurnGas) assert(gasBurnt());
            if (habit == Habit.ReturnBomb) bomb();
        }
        return move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return move(from, to, amount);
    }

    function move(address from, address to, uint256 amount) private returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += habit == Habit.Fee ? amount - amount / 100 : amount;
        callBack();
        if (habit == Habit.NoAnswer) {
            assembly ("memory-safe") {
                return(0, 0)
            }
        }
        return true;
    }

    function callBack() private {
        if (habit != Habit.Reenter || target != msg.sender) return; // only in the middle of what the contract does
        (bool ok, bytes memory result) = target.call(data);
        answer = ok ? bytes4(0) : bytes4(result);
        ++tried;
        if (ok) ++reentered;
    }

    function gasBurnt() private pure returns (bool) {
        assembly ("memory-safe") {
            invalid()
        }
    }

    function bomb() private pure {
        assembly ("memory-safe") {
            revert(mload(0x40), 100000)
        }
    }
}
