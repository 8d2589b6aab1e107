// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Agreement, Payee, Payment, Permit, State, Terms} from "src/interfaces/IChannels.sol";
import {ClaimMath} from "src/libraries/ClaimMath.sol";

/// @title Shared
/// @notice What the designs that Channels is measured beside have in common with it, and with one another: terms,
/// signatures, arithmetic, payments. For measuring only: nobody has reviewed these contracts, and none is deployed.
abstract contract Shared {
    using SafeERC20 for IERC20;

    error Refused();

    event Opened(bytes32 indexed id, address indexed publisher, address indexed payout, uint256 amount);
    event Deposited(bytes32 indexed id, address indexed from, uint256 amount);
    event Claimed(bytes32 indexed id, uint256 amount, uint256 claimed);
    event Skipped(bytes32 indexed id);
    event NoticeGiven(bytes32 indexed id, uint256 noticeEnd);
    event Closed(bytes32 indexed id, uint256 claimed, uint256 refunded);
    event Credited(address indexed token, address indexed account, uint256 amount);

    uint40 internal constant CLOSED = type(uint40).max;

    string private constant AGREEMENT =
        "Agreement(address publisher,bytes32 app,bytes32 tariff,bytes32 quote,uint40 notice,bytes32 salt)";
    string private constant PAYEE = "Payee(address account,uint32 share)";
    string private constant PAYMENT = "Payment(address token,address payout,Payee[] payees,address signer)";
    string private constant TERMS = "Terms(Payment payment,uint88 cap,uint40 window,Agreement agreement)";
    string private constant OPEN = "Open(Terms terms,uint256 amount,uint256 deadline)";

    bytes32 private immutable AGREEMENT_TYPEHASH = keccak256(bytes(AGREEMENT));
    bytes32 private immutable PAYEE_TYPEHASH = keccak256(bytes(PAYEE));
    bytes32 private immutable PAYMENT_TYPEHASH = keccak256(abi.encodePacked(PAYMENT, PAYEE));
    bytes32 private immutable TERMS_TYPEHASH = keccak256(abi.encodePacked(TERMS, AGREEMENT, PAYEE, PAYMENT));
    bytes32 private immutable OPEN_TYPEHASH = keccak256(abi.encodePacked(OPEN, AGREEMENT, PAYEE, PAYMENT, TERMS));
    bytes32 private constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channel,uint256 total)");
    bytes32 private constant RELEASE_TYPEHASH = keccak256("Release(bytes32 channel,uint256 total)");

    mapping(address token => mapping(address account => uint256)) internal credit;

    /// @dev The domain separator of ids and signatures.
    function _domain() internal view virtual returns (bytes32);

    function _check(Terms calldata terms, uint256 amount) internal pure {
        Payment calldata payment = terms.payment;
        require(payment.payout != address(0) && payment.signer != address(0), Refused());
        require(terms.cap != 0 && terms.window != 0, Refused());
        uint256 period = terms.agreement.notice;
        require(period >= 1 hours && period <= 30 days, Refused());
        Payee[] calldata payees = payment.payees;
        require(payees.length <= 8, Refused());
        uint256 shares;
        for (uint256 i; i < payees.length; ++i) {
            require(payees[i].account != address(0) && payees[i].share != 0, Refused());
            shares += payees[i].share;
        }
        require(shares <= ClaimMath.ONE, Refused());
        require(amount != 0 && amount <= type(uint88).max, Refused());
    }

    function _permit(address token, uint256 amount, Permit calldata permit, address owner) internal {
        try IERC20Permit(token).permit(owner, address(this), amount, permit.deadline, permit.v, permit.r, permit.s) {}
            catch {}
    }

    function _checkOpening(Terms calldata terms, uint256 amount, uint256 deadline, bytes calldata signature)
        internal
        view
    {
        require(block.timestamp <= deadline, Refused());
        bytes32 content = keccak256(abi.encode(OPEN_TYPEHASH, _hashTerms(terms), amount, deadline));
        require(_signed(terms.agreement.publisher, content, signature), Refused());
    }

    /// @dev The amounts of a claim, provider last.
    function _parts(Payee[] calldata payees, uint256 amount, uint256 claimed)
        internal
        pure
        returns (uint256[] memory parts)
    {
        parts = new uint256[](payees.length + 1);
        ClaimMath.split(payees, claimed - amount, claimed, parts);
    }

    function _pay(address token, address payout, Payee[] calldata payees, uint256[] memory parts) internal {
        for (uint256 i; i < payees.length; ++i) {
            _transfer(token, payees[i].account, parts[i]);
        }
        _transfer(token, payout, parts[payees.length]);
    }

    function _transfer(address token, address account, uint256 amount) internal {
        if (amount == 0 || IERC20(token).trySafeTransfer(account, amount)) return;
        credit[token][account] += amount;
        emit Credited(token, account, amount);
    }

    function _idOf(Terms calldata terms) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(_domain(), _hashTerms(terms));
    }

    function _idOf(bytes32 payment, uint256 cap, uint256 window, bytes32 agreement) internal view returns (bytes32) {
        return MessageHashUtils.toTypedDataHash(
            _domain(), keccak256(abi.encode(TERMS_TYPEHASH, payment, cap, window, agreement))
        );
    }

    function _hashTerms(Terms calldata terms) internal view returns (bytes32) {
        bytes32 agreement = keccak256(abi.encode(AGREEMENT_TYPEHASH, terms.agreement));
        return keccak256(abi.encode(TERMS_TYPEHASH, _hashPayment(terms.payment), terms.cap, terms.window, agreement));
    }

    function _hashPayees(Payee[] calldata payees) internal view returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](payees.length);
        for (uint256 i; i < payees.length; ++i) {
            hashes[i] = keccak256(abi.encode(PAYEE_TYPEHASH, payees[i]));
        }
        return keccak256(abi.encodePacked(hashes));
    }

    function _hashPayment(Payment calldata payment) internal view returns (bytes32) {
        bytes32 payees = _hashPayees(payment.payees);
        return keccak256(abi.encode(PAYMENT_TYPEHASH, payment.token, payment.payout, payees, payment.signer));
    }

    function _vouched(address signer, bytes32 id, uint256 total, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        return _signed(signer, keccak256(abi.encode(VOUCHER_TYPEHASH, id, total)), signature);
    }

    function _released(address signer, bytes32 id, uint256 total, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        return _signed(signer, keccak256(abi.encode(RELEASE_TYPEHASH, id, total)), signature);
    }

    function _signed(address account, bytes32 content, bytes calldata signature) private view returns (bool) {
        bytes32 digest = MessageHashUtils.toTypedDataHash(_domain(), content);
        (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (fault == ECDSA.RecoverError.NoError && recovered == account) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }
}
