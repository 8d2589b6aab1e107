// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Shared} from "./Shared.sol";
import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Claim, Payment, Permit, State, Terms} from "src/interfaces/IChannels.sol";
import {ClaimMath} from "src/libraries/ClaimMath.sol";

/// @title CloneFactory
/// @notice A minimal proxy (EIP-1167) for each channel, at an address made from the channel's id: so the proxy knows its
/// terms without keeping even their hash, and depositing is a plain transfer to it.
contract CloneFactory is Shared, EIP712, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    CloneChannel public immutable implementation;

    constructor() EIP712("Apocryph", "1") {
        implementation = new CloneChannel(_domainSeparatorV4());
    }

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

    function claimBatch(Payment calldata payment, CloneChannel[] calldata channels, Claim[] calldata items) external {
        for (uint256 i; i < items.length; ++i) {
            try channels[i].claim(payment, items[i]) {}
            catch {
                emit Skipped(bytes32(uint256(uint160(address(channels[i])))));
            }
        }
    }

    function _domain() internal view override returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _open(Terms calldata terms, uint256 amount) private {
        _check(terms, amount);
        bytes32 id = _idOf(terms);
        address channel = Clones.cloneDeterministic(address(implementation), id);
        CloneChannel(channel).start();
        emit Opened(id, terms.agreement.publisher, terms.payment.payout, amount);
        IERC20(terms.payment.token).safeTransferFrom(terms.agreement.publisher, channel, amount);
    }
}

/// @title CloneChannel
contract CloneChannel is Shared, ReentrancyGuardTransient {
    using ClaimMath for State;

    address private immutable FACTORY = msg.sender;
    address private immutable SELF = address(this);
    bytes32 private immutable DOMAIN;

    /// @dev `deposited` stays 0: it is what is here and what was claimed.
    State private state;

    constructor(bytes32 domain) {
        DOMAIN = domain;
    }

    function start() external {
        require(msg.sender == FACTORY, Refused());
        state.spentUntil = uint40(block.timestamp);
    }

    function claim(Payment calldata payment, Claim calldata item) external nonReentrant {
        bytes32 id = _idOf(_hashPayment(payment), item.cap, item.window, item.agreement);
        _own(id);
        State memory channel = _load(payment.token);
        require(channel.noticeEnd != CLOSED, Refused());
        uint256 amount = channel.spend(item.cap, item.window, item.total, block.timestamp);
        require(amount != 0 && _vouched(payment.signer, id, item.total, item.signature), Refused());
        _store(channel);
        emit Claimed(id, amount, channel.claimed);
        _pay(payment.token, payment.payout, payment.payees, _parts(payment.payees, amount, channel.claimed));
    }

    function notice(Terms calldata terms) external nonReentrant {
        require(msg.sender == terms.agreement.publisher && state.noticeEnd == 0, Refused());
        bytes32 id = _idOf(terms);
        _own(id);
        uint40 noticeEnd = uint40(block.timestamp) + terms.agreement.notice;
        state.noticeEnd = noticeEnd;
        emit NoticeGiven(id, noticeEnd);
    }

    function withdraw(Terms calldata terms) external nonReentrant {
        require(msg.sender == terms.agreement.publisher, Refused());
        bytes32 id = _idOf(terms);
        _own(id);
        State memory channel = _load(terms.payment.token);
        // Also once it is closed: somebody may have paid in afterwards.
        require(
            channel.noticeEnd == CLOSED || (channel.noticeEnd != 0 && block.timestamp >= channel.noticeEnd), Refused()
        );
        _close(id, channel, terms);
    }

    function close(Terms calldata terms) external nonReentrant {
        require(msg.sender == terms.payment.payout, Refused());
        bytes32 id = _idOf(terms);
        _own(id);
        State memory channel = _load(terms.payment.token);
        require(channel.noticeEnd != CLOSED, Refused());
        _close(id, channel, terms);
    }

    function release(Terms calldata terms, uint256 total, bytes calldata signature) external nonReentrant {
        bytes32 id = _idOf(terms);
        _own(id);
        State memory channel = _load(terms.payment.token);
        require(channel.noticeEnd != CLOSED, Refused());
        require(_released(terms.payment.signer, id, total, signature), Refused());
        uint256 amount = channel.spend(terms.cap, terms.window, total, block.timestamp);
        if (amount != 0) emit Claimed(id, amount, channel.claimed);
        _close(id, channel, terms);
        Payment calldata payment = terms.payment;
        _pay(payment.token, payment.payout, payment.payees, _parts(payment.payees, amount, channel.claimed));
    }

    function _domain() internal view override returns (bytes32) {
        return DOMAIN;
    }

    /// @dev The terms are this channel's if their id leads here.
    function _own(bytes32 id) private view {
        require(Clones.predictDeterministicAddress(SELF, id, FACTORY) == address(this), Refused());
    }

    function _load(address token) private view returns (State memory channel) {
        channel = state;
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.deposited = uint88(IERC20(token).balanceOf(address(this)) + channel.claimed);
    }

    function _store(State memory channel) private {
        state = State(0, channel.claimed, channel.spentUntil, channel.noticeEnd);
    }

    function _close(bytes32 id, State memory channel, Terms calldata terms) private {
        uint256 refund = channel.deposited - channel.claimed;
        channel.noticeEnd = CLOSED;
        _store(channel);
        emit Closed(id, channel.claimed, refund);
        _transfer(terms.payment.token, terms.agreement.publisher, refund);
    }
}
