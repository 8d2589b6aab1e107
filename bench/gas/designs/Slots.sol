// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Shared} from "./Shared.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Payment, Permit, State, Terms} from "src/interfaces/IChannels.sol";
import {ClaimMath} from "src/libraries/ClaimMath.sol";

/// @title Slots
/// @notice All channels in one contract that keeps their terms, in three slots each, so that callers name only the id.
/// Who is paid doesn't fit: it stays a hash. Times are 32 bits, the cap 64, the window in minutes.
contract Slots is Shared, EIP712, ReentrancyGuardTransient {
    using ClaimMath for State;
    using SafeERC20 for IERC20;

    struct Channel {
        bytes32 payment;
        address publisher;
        uint64 cap;
        uint32 notice;
        uint88 deposited;
        uint88 claimed;
        uint32 spentUntil;
        uint32 noticeEnd;
        uint16 minutesOfWindow;
    }

    struct Item {
        bytes32 id;
        uint256 total;
        bytes signature;
    }

    uint32 private constant GONE = type(uint32).max;

    mapping(bytes32 id => Channel) private channels;

    constructor() EIP712("Apocryph", "1") {}

    function open(Terms calldata terms, uint256 amount) external nonReentrant {
        require(msg.sender == terms.agreement.publisher, Refused());
        _open(terms, amount);
    }

    function openWithPermit(Terms calldata terms, uint256 amount, Permit calldata permit) external nonReentrant {
        require(msg.sender == terms.agreement.publisher, Refused());
        _permit(terms.payment.token, amount, permit, msg.sender);
        _open(terms, amount);
    }

    function openFor(
        Terms calldata terms,
        uint256 amount,
        uint256 deadline,
        bytes calldata signature,
        Permit calldata permit
    ) external nonReentrant {
        _checkOpening(terms, amount, deadline, signature);
        if (permit.deadline != 0) _permit(terms.payment.token, amount, permit, terms.agreement.publisher);
        _open(terms, amount);
    }

    function deposit(Payment calldata payment, bytes32 id, uint256 amount) external nonReentrant {
        Channel storage channel = channels[id];
        require(channel.payment == _hashPayment(payment), Refused());
        uint256 noticeEnd = channel.noticeEnd;
        require(noticeEnd == 0 || block.timestamp < noticeEnd, Refused());
        require(amount != 0 && amount <= type(uint88).max - channel.deposited, Refused());
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.deposited += uint88(amount);
        emit Deposited(id, msg.sender, amount);
        IERC20(payment.token).safeTransferFrom(msg.sender, address(this), amount);
    }

    function claim(Payment calldata payment, Item calldata item) external nonReentrant {
        uint256[] memory parts = new uint256[](payment.payees.length + 1);
        require(_claim(_hashPayment(payment), payment, item, parts), Refused());
        _pay(payment.token, payment.payout, payment.payees, parts);
    }

    function claimBatch(Payment calldata payment, Item[] calldata items) external nonReentrant {
        uint256[] memory parts = new uint256[](payment.payees.length + 1);
        bytes32 hash = _hashPayment(payment);
        for (uint256 i; i < items.length; ++i) {
            Item calldata item = items[i];
            if (!_claim(hash, payment, item, parts)) emit Skipped(item.id);
        }
        _pay(payment.token, payment.payout, payment.payees, parts);
    }

    function notice(bytes32 id) external nonReentrant {
        Channel storage channel = channels[id];
        require(msg.sender == channel.publisher && channel.noticeEnd == 0, Refused());
        uint32 noticeEnd = uint32(block.timestamp) + channel.notice;
        channel.noticeEnd = noticeEnd;
        emit NoticeGiven(id, noticeEnd);
    }

    function withdraw(Payment calldata payment, bytes32 id) external nonReentrant {
        Channel storage channel = channels[id];
        require(msg.sender == channel.publisher && channel.payment == _hashPayment(payment), Refused());
        uint256 noticeEnd = channel.noticeEnd;
        require(noticeEnd != 0 && block.timestamp >= noticeEnd, Refused());
        _close(id, payment.token);
    }

    function close(Payment calldata payment, bytes32 id) external nonReentrant {
        require(msg.sender == payment.payout && channels[id].payment == _hashPayment(payment), Refused());
        _close(id, payment.token);
    }

    function release(Payment calldata payment, bytes32 id, uint256 total, bytes calldata signature)
        external
        nonReentrant
    {
        Channel storage channel = channels[id];
        require(channel.payment == _hashPayment(payment), Refused());
        require(_released(payment.signer, id, total, signature), Refused());
        uint256 amount = _spend(channel, total);
        uint256 claimed = channel.claimed;
        if (amount != 0) emit Claimed(id, amount, claimed);
        _close(id, payment.token);
        _pay(payment.token, payment.payout, payment.payees, _parts(payment.payees, amount, claimed));
    }

    function _domain() internal view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _open(Terms calldata terms, uint256 amount) private {
        _check(terms, amount);
        require(terms.cap <= type(uint64).max && terms.window / 60 <= type(uint16).max, Refused());
        bytes32 id = _idOf(terms);
        require(channels[id].spentUntil == 0, Refused());
        // forge-lint: disable-start(unsafe-typecast)
        channels[id] = Channel({
            payment: _hashPayment(terms.payment),
            publisher: terms.agreement.publisher,
            cap: uint64(terms.cap),
            notice: uint32(terms.agreement.notice),
            deposited: uint88(amount),
            claimed: 0,
            spentUntil: uint32(block.timestamp),
            noticeEnd: 0,
            minutesOfWindow: uint16(terms.window / 60)
        });
        // forge-lint: disable-end(unsafe-typecast)
        emit Opened(id, terms.agreement.publisher, terms.payment.payout, amount);
        IERC20(terms.payment.token).safeTransferFrom(terms.agreement.publisher, address(this), amount);
    }

    function _claim(bytes32 hash, Payment calldata payment, Item calldata item, uint256[] memory parts)
        private
        returns (bool)
    {
        Channel storage channel = channels[item.id];
        if (channel.payment != hash) return false;
        uint256 amount = _spend(channel, item.total);
        if (amount == 0) return false;
        // Booked before the signature is looked at, so an item that fails here takes all with it: cheaper, for once.
        require(_vouched(payment.signer, item.id, item.total, item.signature), Refused());
        uint256 claimed = channel.claimed;
        emit Claimed(item.id, amount, claimed);
        ClaimMath.split(payment.payees, claimed - amount, claimed, parts);
        return true;
    }

    function _spend(Channel storage channel, uint256 total) private returns (uint256 amount) {
        State memory s = State(channel.deposited, channel.claimed, channel.spentUntil, channel.noticeEnd);
        amount = s.spend(channel.cap, uint256(channel.minutesOfWindow) * 60, total, block.timestamp);
        channel.claimed = s.claimed;
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.spentUntil = uint32(s.spentUntil);
    }

    /// @dev Frees the terms' slots for their refund; the third stays, so that the id can't be opened again.
    function _close(bytes32 id, address token) private {
        Channel storage channel = channels[id];
        uint256 refund = channel.deposited - channel.claimed;
        address publisher = channel.publisher;
        emit Closed(id, channel.claimed, refund);
        channel.noticeEnd = GONE;
        delete channel.payment;
        delete channel.publisher;
        delete channel.cap;
        delete channel.notice;
        _transfer(token, publisher, refund);
    }
}
