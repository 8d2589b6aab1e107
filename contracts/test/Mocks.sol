// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A token with permit that returns false for transfers to whom it refuses.
contract Refusing is ERC20Permit {
    mapping(address => bool) private refused;

    constructor() ERC20("Refusing", "R") ERC20Permit("Refusing") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function refuse(address account, bool value) external {
        refused[account] = value;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !refused[to] && super.transfer(to, amount);
    }
}

/// @notice A token that refuses to move money to the addresses on its list.
contract Blocklisting is ERC20 {
    mapping(address => bool) public blocked;

    constructor() ERC20("Blocklisting", "B") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function set(address account, bool value) external {
        blocked[account] = value;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[to], "blocked");
        super._update(from, to, amount);
    }
}

/// @notice A token that calls somebody in the middle of each transfer.
contract Reentrant is ERC20 {
    address private target;
    bytes private data;
    bytes4 public answer;

    constructor() ERC20("Reentrant", "R") {}

    function mint(address account, uint256 amount) external {
        _mint(account, amount);
    }

    function arm(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (target == address(0)) return;
        (bool ok, bytes memory result) = target.call(data);
        answer = ok ? bytes4(0) : bytes4(result);
    }
}

/// @notice An ERC-1271 account that accepts the signatures of one key, until told not to.
contract Wallet {
    address private immutable owner;
    bool public locked;

    constructor(address owner_) {
        owner = owner_;
    }

    function lock() external {
        locked = true;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (!locked && ECDSA.recoverCalldata(digest, signature) == owner) return 0x1626ba7e;
        return 0xffffffff;
    }
}

/// @notice A contract that answers every call in the same way.
contract Answering {
    enum How {
        Return,
        Revert,
        EatGas
    }

    How private how;
    bytes private answer;

    constructor(How how_, bytes memory answer_) {
        (how, answer) = (how_, answer_);
    }

    fallback(bytes calldata) external returns (bytes memory) {
        bytes memory data = answer;
        if (how == How.Return) return data;
        bool eat = how == How.EatGas;
        assembly ("memory-safe") {
            if eat { invalid() }
            revert(add(data, 32), mload(data))
        }
    }
}
