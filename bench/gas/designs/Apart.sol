// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Shared} from "./Shared.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Payee, Payment, Permit, State, Terms} from "src/interfaces/IChannels.sol";
import {ClaimMath} from "src/libraries/ClaimMath.sol";

/// @title ApartFactory
/// @notice A contract of its own for each channel, with the terms in its code.
contract ApartFactory is Shared, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    struct Item {
        ApartChannel channel;
        uint256 total;
        bytes signature;
    }

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

    function claimBatch(Payee[] calldata payees, Item[] calldata items) external {
        for (uint256 i; i < items.length; ++i) {
            Item calldata item = items[i];
            try item.channel.claim(payees, item.total, item.signature) {}
            catch {
                emit Skipped(bytes32(uint256(uint160(address(item.channel)))));
            }
        }
    }

    function _domain() internal view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _open(Terms calldata terms, uint256 amount) private {
        _check(terms, amount);
        bytes32 id = _idOf(terms);
        // The salt is the id, so the same terms can't be deployed twice.
        ApartChannel channel = new ApartChannel{salt: id}(
            ApartChannel.Fixed({
                id: id,
                domain: _domain(),
                payees: _hashPayees(terms.payment.payees),
                token: terms.payment.token,
                payout: terms.payment.payout,
                signer: terms.payment.signer,
                publisher: terms.agreement.publisher,
                cap: terms.cap,
                window: terms.window,
                notice: terms.agreement.notice
            })
        );
        emit Opened(id, terms.agreement.publisher, terms.payment.payout, amount);
        IERC20(terms.payment.token).safeTransferFrom(terms.agreement.publisher, address(channel), amount);
    }
}

/// @title ApartChannel
contract ApartChannel is Shared, ReentrancyGuardTransient {
    using ClaimMath for State;

    struct Fixed {
        bytes32 id;
        bytes32 domain;
        bytes32 payees;
        address token;
        address payout;
        address signer;
        address publisher;
        uint88 cap;
        uint40 window;
        uint40 notice;
    }

    bytes32 private immutable ID;
    bytes32 private immutable DOMAIN;
    bytes32 private immutable PAYEES;
    address private immutable TOKEN;
    address private immutable PAYOUT;
    address private immutable SIGNER;
    address private immutable PUBLISHER;
    uint88 private immutable CAP;
    uint40 private immutable WINDOW;
    uint40 private immutable NOTICE;

    /// @dev `deposited` stays 0: it is what is here and what was claimed.
    State private state;

    constructor(Fixed memory f) {
        (ID, DOMAIN, PAYEES) = (f.id, f.domain, f.payees);
        (TOKEN, PAYOUT, SIGNER, PUBLISHER) = (f.token, f.payout, f.signer, f.publisher);
        (CAP, WINDOW, NOTICE) = (f.cap, f.window, f.notice);
        state.spentUntil = uint40(block.timestamp);
    }

    function claim(Payee[] calldata payees, uint256 total, bytes calldata signature) external nonReentrant {
        require(_hashPayees(payees) == PAYEES, Refused());
        State memory channel = _load();
        uint256 amount = channel.spend(CAP, WINDOW, total, block.timestamp);
        require(amount != 0 && _vouched(SIGNER, ID, total, signature), Refused());
        state = State(0, channel.claimed, channel.spentUntil, channel.noticeEnd);
        emit Claimed(ID, amount, channel.claimed);
        _pay(TOKEN, PAYOUT, payees, _parts(payees, amount, channel.claimed));
    }

    function notice() external nonReentrant {
        require(msg.sender == PUBLISHER && state.noticeEnd == 0, Refused());
        uint40 noticeEnd = uint40(block.timestamp) + NOTICE;
        state.noticeEnd = noticeEnd;
        emit NoticeGiven(ID, noticeEnd);
    }

    function withdraw() external nonReentrant {
        require(msg.sender == PUBLISHER, Refused());
        State memory channel = state;
        // Also once it is closed: somebody may have paid in afterwards.
        require(channel.noticeEnd != 0, Refused());
        require(channel.noticeEnd == CLOSED || block.timestamp >= channel.noticeEnd, Refused());
        _close(_load());
    }

    function close() external nonReentrant {
        require(msg.sender == PAYOUT, Refused());
        _close(_load());
    }

    function release(Payee[] calldata payees, uint256 total, bytes calldata signature) external nonReentrant {
        require(_hashPayees(payees) == PAYEES, Refused());
        State memory channel = _load();
        require(channel.noticeEnd != CLOSED && _released(SIGNER, ID, total, signature), Refused());
        uint256 amount = channel.spend(CAP, WINDOW, total, block.timestamp);
        if (amount != 0) emit Claimed(ID, amount, channel.claimed);
        _close(channel);
        _pay(TOKEN, PAYOUT, payees, _parts(payees, amount, channel.claimed));
    }

    function _domain() internal view override returns (bytes32) {
        return DOMAIN;
    }

    function _load() private view returns (State memory channel) {
        channel = state;
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.deposited = uint88(IERC20(TOKEN).balanceOf(address(this)) + channel.claimed);
    }

    function _close(State memory channel) private {
        uint256 refund = channel.deposited - channel.claimed;
        state = State(0, channel.claimed, channel.spentUntil, CLOSED);
        emit Closed(ID, channel.claimed, refund);
        _transfer(TOKEN, PUBLISHER, refund);
    }
}
