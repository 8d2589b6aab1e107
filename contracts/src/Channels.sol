// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    Agreement,
    ChannelId,
    Claim,
    IChannels,
    Payee,
    Payment,
    Permit,
    State,
    Status,
    Terms
} from "./interfaces/IChannels.sol";
import {ClaimMath} from "./libraries/ClaimMath.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Channels
/// @notice All channels of all tokens. It has no owner, can't be upgraded and can't be paused.
/// @dev Assumes of each token that balances at this contract change only by transfers of exactly the amount asked for.
/// Then for that token: sum over channels (deposited - claimed, until closed) + sum of credits <= balance of this
/// contract. A token that breaks this harms the channels in this token and no others.
///
/// Assumes of OpenZeppelin: `tryRecover` accepts no malleable signature and never yields address zero without an error;
/// `trySafeTransfer` doesn't revert, whatever the token does, short of eating all gas.
contract Channels is IChannels, EIP712, ReentrancyGuardTransient {
    using ClaimMath for State;
    using SafeERC20 for IERC20;

    /* CONSTANTS */

    /// @inheritdoc IChannels
    uint256 public constant ONE = ClaimMath.ONE;

    /// @inheritdoc IChannels
    uint256 public constant MAX_PAYEES = 8;

    /// @inheritdoc IChannels
    uint256 public constant MIN_NOTICE = 1 hours;

    /// @inheritdoc IChannels
    uint256 public constant MAX_NOTICE = 30 days;

    /// @dev Value of `noticeEnd` that marks a closed channel. The rest of its state stays, as its receipt.
    uint40 private constant CLOSED = type(uint40).max;

    string private constant AGREEMENT =
        "Agreement(address publisher,bytes32 app,bytes32 tariff,bytes32 quote,uint40 notice,bytes32 salt)";

    string private constant PAYEE = "Payee(address account,uint32 share)";

    string private constant PAYMENT = "Payment(address token,address payout,Payee[] payees,address signer)";

    string private constant TERMS = "Terms(Payment payment,uint88 cap,uint40 window,Agreement agreement)";

    string private constant OPEN = "Open(Terms terms,uint256 amount,uint256 deadline)";

    bytes32 private constant VOUCHER_TYPEHASH = keccak256("Voucher(bytes32 channel,uint256 total)");

    bytes32 private constant RELEASE_TYPEHASH = keccak256("Release(bytes32 channel,uint256 total)");

    // Hashes of composed types are computed once, at deployment: constants would be composed and hashed at each use.

    bytes32 private immutable AGREEMENT_TYPEHASH = keccak256(bytes(AGREEMENT));

    bytes32 private immutable PAYEE_TYPEHASH = keccak256(bytes(PAYEE));

    bytes32 private immutable PAYMENT_TYPEHASH = keccak256(abi.encodePacked(PAYMENT, PAYEE));

    bytes32 private immutable TERMS_TYPEHASH = keccak256(abi.encodePacked(TERMS, AGREEMENT, PAYEE, PAYMENT));

    bytes32 private immutable OPEN_TYPEHASH = keccak256(abi.encodePacked(OPEN, AGREEMENT, PAYEE, PAYMENT, TERMS));

    /* STORAGE */

    /// @dev Domain of ids. Unlike that of signatures it stays as it was at deployment: a chain that splits and changes
    /// its id must not strand the channels on it.
    bytes32 private immutable idDomain;

    mapping(ChannelId id => State) private channels;

    /// @inheritdoc IChannels
    mapping(address token => mapping(address account => uint256)) public credit;

    constructor() EIP712("Apocryph", "1") {
        idDomain = _domainSeparatorV4();
    }

    /* OPENING AND DEPOSITING */

    /// @inheritdoc IChannels
    function open(Terms calldata terms, uint256 amount) external nonReentrant returns (ChannelId id) {
        require(msg.sender == terms.agreement.publisher, NotPublisher());

        id = _open(terms, amount);
    }

    /// @inheritdoc IChannels
    function openWithPermit(Terms calldata terms, uint256 amount, Permit calldata permit)
        external
        nonReentrant
        returns (ChannelId id)
    {
        require(msg.sender == terms.agreement.publisher, NotPublisher());

        _permit(terms.payment.token, amount, permit, msg.sender);
        id = _open(terms, amount);
    }

    /// @inheritdoc IChannels
    function openFor(
        Terms calldata terms,
        uint256 amount,
        uint256 deadline,
        bytes calldata signature,
        Permit calldata permit
    ) external nonReentrant returns (ChannelId id) {
        address publisher = terms.agreement.publisher;
        require(block.timestamp <= deadline, Expired());
        require(_signed(publisher, openDigest(terms, amount, deadline), signature), BadSignature());

        if (permit.deadline != 0) _permit(terms.payment.token, amount, permit, publisher);
        id = _open(terms, amount);
    }

    /// @inheritdoc IChannels
    function deposit(Terms calldata terms, uint256 amount) external nonReentrant {
        _deposit(terms, amount);
    }

    /// @inheritdoc IChannels
    function depositWithPermit(Terms calldata terms, uint256 amount, Permit calldata permit) external nonReentrant {
        _permit(terms.payment.token, amount, permit, msg.sender);
        _deposit(terms, amount);
    }

    /// @dev Opens a channel. The caller has made sure that the publisher wants it.
    function _open(Terms calldata terms, uint256 amount) private returns (ChannelId id) {
        _checkTerms(terms);
        require(amount != 0, ZeroAmount());
        require(amount <= type(uint88).max, AmountTooLarge());
        id = channelId(terms);
        require(channels[id].spentUntil == 0, AlreadyOpened());

        // casting to uint88 is safe: checked above
        // forge-lint: disable-next-line(unsafe-typecast)
        channels[id] = State({deposited: uint88(amount), claimed: 0, spentUntil: uint40(block.timestamp), noticeEnd: 0});

        address publisher = terms.agreement.publisher;
        emit Opened(id, publisher, terms.payment.payout, amount);

        IERC20(terms.payment.token).safeTransferFrom(publisher, address(this), amount);
    }

    /// @dev Adds to a channel from the caller.
    function _deposit(Terms calldata terms, uint256 amount) private {
        ChannelId id = channelId(terms);
        State memory channel = channels[id];
        require(_live(channel) != Status.Ended, NoticeEnded());
        require(amount != 0, ZeroAmount());
        require(amount <= type(uint88).max - channel.deposited, AmountTooLarge());

        // casting to uint88 is safe: checked above
        // forge-lint: disable-next-line(unsafe-typecast)
        channel.deposited += uint88(amount);
        channels[id] = channel;

        emit Deposited(id, msg.sender, amount);

        IERC20(terms.payment.token).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @dev Uses a permit if it works. Somebody else may have used it first, so only the allowance counts.
    function _permit(address token, uint256 amount, Permit calldata permit, address owner) private {
        try IERC20Permit(token).permit(owner, address(this), amount, permit.deadline, permit.v, permit.r, permit.s) {}
            catch {}
    }

    /// @dev Reverts unless the terms make a channel that can pay and that both sides can leave.
    function _checkTerms(Terms calldata terms) private pure {
        Payment calldata payment = terms.payment;
        require(payment.payout != address(0) && payment.signer != address(0), ZeroAddress());
        require(terms.cap != 0 && terms.window != 0, ZeroRate());
        uint256 period = terms.agreement.notice;
        require(period >= MIN_NOTICE && period <= MAX_NOTICE, NoticeOutOfBounds());
        Payee[] calldata payees = payment.payees;
        require(payees.length <= MAX_PAYEES, BadShares());

        uint256 shares;
        for (uint256 i; i < payees.length; ++i) {
            require(payees[i].account != address(0), ZeroAddress());
            require(payees[i].share != 0, BadShares());
            shares += payees[i].share;
        }
        require(shares <= ONE, BadShares());
    }

    /* CLAIMS */

    /// @inheritdoc IChannels
    function claim(Payment calldata payment, Claim calldata item) external nonReentrant returns (uint256 amount) {
        uint256[] memory parts = new uint256[](payment.payees.length + 1);
        bytes4 refusal;
        (amount, refusal) = _claim(_idOf(_hashPayment(payment), item), payment, item, parts);
        if (refusal == NotOpened.selector) revert NotOpened();
        if (refusal == AlreadyClosed.selector) revert AlreadyClosed();
        if (refusal == NothingToClaim.selector) revert NothingToClaim();
        if (refusal == BadSignature.selector) revert BadSignature();

        _pay(payment, parts);
    }

    /// @inheritdoc IChannels
    function claimBatch(Payment calldata payment, Claim[] calldata items)
        external
        nonReentrant
        returns (uint256[] memory amounts)
    {
        uint256[] memory parts = new uint256[](payment.payees.length + 1);
        amounts = new uint256[](items.length);
        bytes32 paymentHash = _hashPayment(payment);
        for (uint256 i; i < items.length; ++i) {
            Claim calldata item = items[i];
            ChannelId id = _idOf(paymentHash, item);
            bytes4 refusal;
            (amounts[i], refusal) = _claim(id, payment, item, parts);
            if (refusal != 0) emit ClaimSkipped(id, refusal);
        }

        _pay(payment, parts);
    }

    /// @dev Books a claim and adds its shares to `parts`, or says why not.
    function _claim(ChannelId id, Payment calldata payment, Claim calldata item, uint256[] memory parts)
        private
        returns (uint256 amount, bytes4 refusal)
    {
        State memory channel = channels[id];
        if (channel.spentUntil == 0) return (0, NotOpened.selector);
        if (channel.noticeEnd == CLOSED) return (0, AlreadyClosed.selector);
        amount = channel.spend(item.cap, item.window, item.total, block.timestamp);
        if (amount == 0) return (0, NothingToClaim.selector);
        if (!_signed(payment.signer, voucherDigest(id, item.total), item.signature)) {
            return (0, BadSignature.selector);
        }

        channels[id] = channel;

        emit Claimed(id, amount, channel.claimed);

        ClaimMath.split(payment.payees, channel.claimed - amount, channel.claimed, parts);
    }

    /// @dev Transfers the parts.
    function _pay(Payment calldata payment, uint256[] memory parts) private {
        uint256 count = payment.payees.length;
        for (uint256 i; i < count; ++i) {
            _transfer(payment.token, payment.payees[i].account, parts[i]);
        }
        _transfer(payment.token, payment.payout, parts[count]);
    }

    /// @dev Transfers, or books a credit if the token refuses.
    ///
    /// Too little gas can't be used to turn a payment into a credit: the call gets 63/64 of the gas, and what is left
    /// would not do for the booking unless the call had hundreds of thousands.
    function _transfer(address token, address account, uint256 amount) private {
        if (amount == 0 || IERC20(token).trySafeTransfer(account, amount)) return;

        credit[token][account] += amount;

        emit Credited(token, account, amount);
    }

    /* EXITS */

    /// @inheritdoc IChannels
    function notice(Terms calldata terms) external nonReentrant {
        require(msg.sender == terms.agreement.publisher, NotPublisher());
        ChannelId id = channelId(terms);
        State memory channel = channels[id];
        require(_live(channel) == Status.Open, AlreadyNoticed());

        uint40 noticeEnd = uint40(block.timestamp) + terms.agreement.notice;
        channel.noticeEnd = noticeEnd;
        channels[id] = channel;

        emit NoticeGiven(id, noticeEnd);
    }

    /// @inheritdoc IChannels
    function withdraw(Terms calldata terms) external nonReentrant {
        require(msg.sender == terms.agreement.publisher, NotPublisher());
        ChannelId id = channelId(terms);
        State memory channel = channels[id];
        require(_live(channel) == Status.Ended, NoticeNotEnded());

        _close(id, channel, terms);
    }

    /// @inheritdoc IChannels
    function close(Terms calldata terms) external nonReentrant {
        require(msg.sender == terms.payment.payout, NotPayout());
        ChannelId id = channelId(terms);
        State memory channel = channels[id];
        _live(channel);

        _close(id, channel, terms);
    }

    /// @inheritdoc IChannels
    function release(Terms calldata terms, uint256 total, bytes calldata signature) external nonReentrant {
        ChannelId id = channelId(terms);
        State memory channel = channels[id];
        _live(channel);
        require(_signed(terms.payment.signer, releaseDigest(id, total), signature), BadSignature());

        uint256[] memory parts = new uint256[](terms.payment.payees.length + 1);
        uint256 amount = channel.spend(terms.cap, terms.window, total, block.timestamp);
        if (amount != 0) {
            emit Claimed(id, amount, channel.claimed);

            ClaimMath.split(terms.payment.payees, channel.claimed - amount, channel.claimed, parts);
        }
        _close(id, channel, terms);

        _pay(terms.payment, parts);
    }

    /// @inheritdoc IChannels
    function withdrawCredit(address token, address to) external nonReentrant returns (uint256 amount) {
        amount = credit[token][msg.sender];
        require(amount != 0, NoCredit());

        credit[token][msg.sender] = 0;

        emit CreditWithdrawn(token, msg.sender, to, amount);

        IERC20(token).safeTransfer(to, amount);
    }

    /// @dev Closes a channel for ever and refunds what was not claimed to its publisher.
    function _close(ChannelId id, State memory channel, Terms calldata terms) private {
        uint256 refund = channel.deposited - channel.claimed;
        channel.noticeEnd = CLOSED;
        channels[id] = channel;

        emit Closed(id, channel.claimed, refund);

        _transfer(terms.payment.token, terms.agreement.publisher, refund);
    }

    /* VIEWS */

    /// @inheritdoc IChannels
    function state(ChannelId id) external view returns (State memory) {
        return channels[id];
    }

    /// @inheritdoc IChannels
    function status(ChannelId id) external view returns (Status) {
        return _status(channels[id]);
    }

    /// @inheritdoc IChannels
    function claimable(Terms calldata terms, uint256 total) external view returns (uint256 amount) {
        State memory channel = channels[channelId(terms)];
        if (channel.spentUntil == 0 || channel.noticeEnd == CLOSED) return 0;
        amount = channel.spend(terms.cap, terms.window, total, block.timestamp);
    }

    /// @dev Where a channel is in its life.
    function _status(State memory channel) private view returns (Status) {
        if (channel.spentUntil == 0) return Status.None;
        if (channel.noticeEnd == 0) return Status.Open;
        if (channel.noticeEnd == CLOSED) return Status.Closed;
        return block.timestamp < channel.noticeEnd ? Status.Notice : Status.Ended;
    }

    /// @dev Where a channel is in its life; reverts if it was never opened or is closed.
    function _live(State memory channel) private view returns (Status found) {
        found = _status(channel);
        require(found != Status.None, NotOpened());
        require(found != Status.Closed, AlreadyClosed());
    }

    /* HASHES AND SIGNATURES */

    /// @inheritdoc IChannels
    function channelId(Terms calldata terms) public view returns (ChannelId) {
        return _idOf(_hashTerms(terms));
    }

    /// @inheritdoc IChannels
    function hashAgreement(Agreement calldata agreement) public view returns (bytes32) {
        return keccak256(abi.encode(AGREEMENT_TYPEHASH, agreement));
    }

    /// @inheritdoc IChannels
    function voucherDigest(ChannelId id, uint256 total) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(VOUCHER_TYPEHASH, id, total)));
    }

    /// @inheritdoc IChannels
    function releaseDigest(ChannelId id, uint256 total) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RELEASE_TYPEHASH, id, total)));
    }

    /// @inheritdoc IChannels
    function openDigest(Terms calldata terms, uint256 amount, uint256 deadline) public view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(OPEN_TYPEHASH, _hashTerms(terms), amount, deadline)));
    }

    /// @dev The id of the channel that a claim is on.
    function _idOf(bytes32 paymentHash, Claim calldata item) private view returns (ChannelId) {
        return _idOf(keccak256(abi.encode(TERMS_TYPEHASH, paymentHash, item.cap, item.window, item.agreement)));
    }

    /// @dev The id of the channel whose terms have this hash.
    function _idOf(bytes32 termsHash) private view returns (ChannelId) {
        return ChannelId.wrap(MessageHashUtils.toTypedDataHash(idDomain, termsHash));
    }

    /// @dev hashStruct of `Terms`.
    function _hashTerms(Terms calldata terms) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                TERMS_TYPEHASH, _hashPayment(terms.payment), terms.cap, terms.window, hashAgreement(terms.agreement)
            )
        );
    }

    /// @dev hashStruct of `Payment`.
    function _hashPayment(Payment calldata payment) private view returns (bytes32) {
        Payee[] calldata payees = payment.payees;
        bytes32[] memory hashes = new bytes32[](payees.length);
        for (uint256 i; i < payees.length; ++i) {
            hashes[i] = keccak256(abi.encode(PAYEE_TYPEHASH, payees[i]));
        }
        bytes32 payeesHash = keccak256(abi.encodePacked(hashes));
        return keccak256(abi.encode(PAYMENT_TYPEHASH, payment.token, payment.payout, payeesHash, payment.signer));
    }

    /// @dev Whether `account` signed `digest`. The key is tried first: it is the common case, and asks no other
    /// contract.
    function _signed(address account, bytes32 digest, bytes calldata signature) private view returns (bool) {
        (address recovered, ECDSA.RecoverError fault,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (fault == ECDSA.RecoverError.NoError && recovered == account) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature);
    }
}
