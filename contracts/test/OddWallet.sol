// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract that is an account: it accepts the signatures of one key (ERC-1271) until told not to, and does
/// what anyone says.
contract OddWallet {
    address private immutable owner;
    bool private locked;

    constructor(address owner_) {
        owner = owner_;
    }

    function setLocked(bool value) external {
        locked = value;
    }

    function execute(address target, bytes calldata data) external returns (bytes memory) {
        (bool ok, bytes memory result) = target.call(data);
        if (ok) return result;
        assembly ("memory-safe") {
            revert(add(result, 0x20), mload(result))
        }
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecoverCalldata(digest, signature);
        bool good = !locked && err == ECDSA.RecoverError.NoError && signer == owner;
        return good ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}
