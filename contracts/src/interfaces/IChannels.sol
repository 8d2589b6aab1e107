// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The hash of a channel's terms: the EIP-712 digest of `Terms`, so it covers chain and contract too.
type ChannelId is bytes32;

/// @notice Somebody besides the provider who gets a share of every claim.
/// @dev account  receives the share
/// @dev share    in parts per million of the total
struct Payee {
    address account;
    uint32 share;
}

/// @notice Who is paid, in what, and on whose word. Usually the same for many channels of a provider, so batches name
/// it once.
/// @dev token   ERC-20 token of the channel
/// @dev payout  the provider's address: receives what further payees leave, may close
/// @dev payees  further payees, served in this order
/// @dev signer  whose vouchers and releases count: a key, or a contract (ERC-1271)
struct Payment {
    address token;
    address payout;
    Payee[] payees;
    address signer;
}

/// @notice What publisher and provider agreed on. Claims carry only its hash, because nobody needs it to pay.
/// @dev publisher  opens the channel, gets back what is left, may give notice
/// @dev app        id of the app that the channel pays for
/// @dev tariff     hash of the prices
/// @dev quote      hash of the provider's signed offer
/// @dev notice     seconds between the publisher's notice and their withdrawal
/// @dev salt       tells apart channels that are otherwise the same
struct Agreement {
    address publisher;
    bytes32 app;
    bytes32 tariff;
    bytes32 quote;
    uint40 notice;
    bytes32 salt;
}

/// @notice The immutable terms of a channel. Their hash is the channel's id, so callers supply them every time.
/// @dev payment    who is paid
/// @dev cap        most token units per second that can be claimed
/// @dev window     most seconds of unused cap that can be claimed at once
/// @dev agreement  what it is for
struct Terms {
    Payment payment;
    uint88 cap;
    uint40 window;
    Agreement agreement;
}

/// @notice The mutable state of a channel: one storage slot.
/// @dev deposited   all that was ever put in
/// @dev claimed     all that was ever paid out to provider and payees
/// @dev spentUntil  the time up to which the cap is used up: what was not claimed since then still can be, up to the
/// window
/// @dev noticeEnd   0 before notice; when the notice ends; the largest value once the channel is closed
struct State {
    uint88 deposited;
    uint88 claimed;
    uint40 spentUntil;
    uint40 noticeEnd;
}

/// @notice Where a channel is in its life.
/// @dev None    never opened
/// @dev Open    pays claims, takes deposits
/// @dev Notice  the same, but the publisher has given notice
/// @dev Ended   the notice is over: nothing can be claimed or deposited, the publisher may withdraw
/// @dev Closed  settled for ever; the id can't be opened again
enum Status {
    None,
    Open,
    Notice,
    Ended,
    Closed
}

/// @notice A voucher with what is needed, besides the `Payment`, to claim it.
/// @dev agreement  hash of the channel's `Agreement`, see `hashAgreement`
/// @dev cap        of the channel's terms
/// @dev window     of the channel's terms
/// @dev total      cumulative total due, of the voucher
/// @dev signature  the signer's, over Voucher(bytes32 channel,uint256 total)
struct Claim {
    bytes32 agreement;
    uint88 cap;
    uint40 window;
    uint256 total;
    bytes signature;
}

/// @notice An ERC-2612 permit of the channel's amount for this contract.
struct Permit {
    uint256 deadline;
    uint8 v;
    bytes32 r;
    bytes32 s;
}

/// @title IChannels
/// @notice Escrow that pays for apps: a publisher deposits, a provider claims against cumulative vouchers of the
/// enclave, and each side can leave without the other.
/// @dev Signatures are EIP-712 with the domain name "Apocryph", version "1", the chain's id and this contract's
/// address:
///
/// - `Voucher(bytes32 channel,uint256 total)` and `Release(bytes32 channel,uint256 total)` by the channel's signer;
/// - `Open(Terms terms,uint256 amount,uint256 deadline)` by the publisher, for opening by somebody else.
///
/// The signer may be a key or an ERC-1271 contract. A signature by the very key always counts, even if its account has
/// code.
interface IChannels {
    /* EVENTS */

    /// @notice Emitted when a channel is opened. Its terms are in the calldata of that transaction.
    /// @param id The channel.
    /// @param publisher Who paid for it.
    /// @param payout The provider's address.
    /// @param amount The first deposit.
    event Opened(ChannelId indexed id, address indexed publisher, address indexed payout, uint256 amount);

    /// @notice Emitted when a channel gets a further deposit.
    /// @param id The channel.
    /// @param from Who paid.
    /// @param amount What was added.
    event Deposited(ChannelId indexed id, address indexed from, uint256 amount);

    /// @notice Emitted when money was claimed.
    /// @param id The channel.
    /// @param amount What was paid out, to provider and payees together.
    /// @param claimed What has been paid out in all.
    event Claimed(ChannelId indexed id, uint256 amount, uint256 claimed);

    /// @notice Emitted for an item of a batch that paid nothing.
    /// @param id The channel.
    /// @param reason Selector of the error that the item alone would have reverted with.
    event ClaimSkipped(ChannelId indexed id, bytes4 reason);

    /// @notice Emitted when the publisher gives notice.
    /// @param id The channel.
    /// @param noticeEnd From when on nothing can be claimed and the publisher may withdraw.
    event NoticeGiven(ChannelId indexed id, uint256 noticeEnd);

    /// @notice Emitted when a channel is closed, for ever.
    /// @param id The channel.
    /// @param claimed What was paid out to provider and payees over its whole life.
    /// @param refunded What went back to the publisher. With `claimed` it makes up all that was deposited.
    event Closed(ChannelId indexed id, uint256 claimed, uint256 refunded);

    /// @notice Emitted when a token transfer failed and was booked as a credit instead.
    /// @param token The token.
    /// @param account Whose credit it is.
    /// @param amount What was booked.
    event Credited(address indexed token, address indexed account, uint256 amount);

    /// @notice Emitted when a credit was paid.
    /// @param token The token.
    /// @param account Whose credit it was.
    /// @param to Where it went.
    /// @param amount What was paid.
    event CreditWithdrawn(address indexed token, address indexed account, address to, uint256 amount);

    /* ERRORS */

    /// @notice The caller is not the channel's publisher.
    error NotPublisher();

    /// @notice The caller is not the channel's payout address.
    error NotPayout();

    /// @notice The signature is not of who it has to be of, or not over this content.
    error BadSignature();

    /// @notice The deadline of a signature has passed.
    error Expired();

    /// @notice No channel with these terms was opened.
    error NotOpened();

    /// @notice A channel with these terms was opened before.
    error AlreadyOpened();

    /// @notice The channel is closed.
    error AlreadyClosed();

    /// @notice The publisher has given notice already.
    error AlreadyNoticed();

    /// @notice The notice has not ended, or none was given.
    error NoticeNotEnded();

    /// @notice The notice has ended.
    error NoticeEnded();

    /// @notice The amount is zero.
    error ZeroAmount();

    /// @notice The channel's deposits would not fit in 88 bits.
    error AmountTooLarge();

    /// @notice Nothing is to be paid: by the voucher, the deposit, or the rate. The voucher stays good.
    error NothingToClaim();

    /// @notice The caller has no credit in this token.
    error NoCredit();

    /// @notice The terms have no payout address, signer or payee where one has to be.
    error ZeroAddress();

    /// @notice The terms have a cap or a window of zero, so nothing could ever be claimed.
    error ZeroRate();

    /// @notice The terms' notice is shorter than `MIN_NOTICE` or longer than `MAX_NOTICE`.
    error NoticeOutOfBounds();

    /// @notice The terms have more than `MAX_PAYEES` payees, a share of zero, or shares that exceed the whole.
    error BadShares();

    /* CONSTANTS */

    /// @notice The whole, in parts per million.
    function ONE() external view returns (uint256);

    /// @notice Most further payees of a channel.
    function MAX_PAYEES() external view returns (uint256);

    /// @notice Shortest notice, in seconds: covers finality and a few attempts to claim.
    function MIN_NOTICE() external view returns (uint256);

    /// @notice Longest notice, in seconds.
    function MAX_NOTICE() external view returns (uint256);

    /* OPENING AND DEPOSITING */

    /// @notice Opens a channel with a first deposit from the caller, who must be its publisher and have approved
    /// `amount`.
    function open(Terms calldata terms, uint256 amount) external returns (ChannelId id);

    /// @notice The same with an ERC-2612 permit. A permit that fails is ignored: the allowance decides.
    function openWithPermit(Terms calldata terms, uint256 amount, Permit calldata permit)
        external
        returns (ChannelId id);

    /// @notice Opens a channel for its publisher, who signed `Open` over all terms, amount and deadline. Anyone may
    /// submit.
    /// @dev The publisher pays, by allowance or by `permit`, which is ignored if it fails and left out if its deadline
    /// is 0.
    function openFor(
        Terms calldata terms,
        uint256 amount,
        uint256 deadline,
        bytes calldata signature,
        Permit calldata permit
    ) external returns (ChannelId id);

    /// @notice Adds to a channel from the caller, who may be anyone, until its notice has ended.
    /// @dev Only the publisher ever gets anything back.
    function deposit(Terms calldata terms, uint256 amount) external;

    /// @notice The same with an ERC-2612 permit. A permit that fails is ignored: the allowance decides.
    function depositWithPermit(Terms calldata terms, uint256 amount, Permit calldata permit) external;

    /* CLAIMS */

    /// @notice Pays what a voucher adds to what was claimed before, as far as deposit and rate allow. Anyone may
    /// submit.
    /// @return amount What was paid, never zero.
    function claim(Payment calldata payment, Claim calldata item) external returns (uint256 amount);

    /// @notice Claims on several channels of one `Payment`, with one transfer per payee. An item that would revert is
    /// skipped.
    /// @return amounts What was paid for each item; zero if it was skipped.
    function claimBatch(Payment calldata payment, Claim[] calldata items) external returns (uint256[] memory amounts);

    /* EXITS */

    /// @notice Starts the publisher's way out: the notice runs once, and can't be extended or taken back.
    function notice(Terms calldata terms) external;

    /// @notice Closes the channel after the notice has ended and refunds the publisher, who must be the caller.
    function withdraw(Terms calldata terms) external;

    /// @notice Closes the channel at what was claimed and refunds the publisher. Only the payout address may, at any
    /// time.
    function close(Terms calldata terms) external;

    /// @notice Pays the signer's final total, as far as deposit and rate allow, closes the channel and refunds the
    /// publisher.
    /// @dev Anyone may submit. A total below what was claimed closes at what was claimed; so does any after the
    /// notice's end.
    function release(Terms calldata terms, uint256 total, bytes calldata signature) external;

    /// @notice Pays the caller's credit in `token` to `to`.
    function withdrawCredit(address token, address to) external returns (uint256 amount);

    /* VIEWS */

    /// @notice The state of a channel. After closing it still tells what was deposited and claimed; the rest was
    /// refunded.
    function state(ChannelId id) external view returns (State memory);

    /// @notice Where a channel is in its life.
    function status(ChannelId id) external view returns (Status);

    /// @notice What a voucher over `total` would be paid now.
    function claimable(Terms calldata terms, uint256 total) external view returns (uint256 amount);

    /// @notice What failed transfers left for `account` in `token`.
    function credit(address token, address account) external view returns (uint256);

    /// @notice The id of the channel with these terms.
    function channelId(Terms calldata terms) external view returns (ChannelId);

    /// @notice The hash of an agreement, as claims carry it.
    function hashAgreement(Agreement calldata agreement) external view returns (bytes32);

    /// @notice What a channel's signer signs to let `total` be claimed.
    function voucherDigest(ChannelId id, uint256 total) external view returns (bytes32);

    /// @notice What a channel's signer signs to close it at `total`.
    function releaseDigest(ChannelId id, uint256 total) external view returns (bytes32);

    /// @notice What a publisher signs to let somebody else open the channel.
    function openDigest(Terms calldata terms, uint256 amount, uint256 deadline) external view returns (bytes32);
}
