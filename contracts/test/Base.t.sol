// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Channels} from "../src/Channels.sol";
import {TestToken} from "../src/TestToken.sol";
import {
    Agreement,
    ChannelId,
    Claim,
    Payee,
    Payment,
    Permit,
    State,
    Status,
    Terms
} from "../src/interfaces/IChannels.sol";
import {vm} from "./Vm.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @notice The world of every test: a contract, a token, a publisher with money who approved it, a provider and a
/// signer.
abstract contract Base {
    uint256 internal constant PUBLISHER_KEY = 0xA11CE;
    uint256 internal constant SIGNER_KEY = 0x516E;
    uint256 internal constant START = 1_800_000_000;
    uint256 internal constant DEPOSIT = 1_000_000;
    uint88 internal constant CAP = 100;
    uint40 internal constant WINDOW = 1 days;
    uint40 internal constant NOTICE = 2 hours;

    // Where the contract keeps its two mappings, after the two strings of OpenZeppelin's EIP712.
    uint256 internal constant CHANNELS_SLOT = 2;
    uint256 internal constant CREDIT_SLOT = 3;

    Channels internal channels;
    TestToken internal token;
    address internal publisher = vm.addr(PUBLISHER_KEY);
    address internal signer = vm.addr(SIGNER_KEY);
    address internal payout = address(0xBEEF);
    address internal stranger = address(0x57A6);

    function setUp() public virtual {
        vm.warp(START);
        channels = new Channels();
        token = new TestToken();
        token.mint(publisher, 100 * DEPOSIT);
        vm.prank(publisher);
        token.approve(address(channels), type(uint256).max);
    }

    /// @dev Terms without further payees; the salt makes them distinct.
    function termsOf(uint256 salt) internal view returns (Terms memory terms) {
        terms = Terms({
            payment: Payment({token: address(token), payout: payout, payees: new Payee[](0), signer: signer}),
            cap: CAP,
            window: WINDOW,
            agreement: Agreement({
                publisher: publisher,
                app: keccak256("app"),
                tariff: keccak256("tariff"),
                quote: keccak256("quote"),
                notice: NOTICE,
                salt: bytes32(salt)
            })
        });
    }

    /// @dev Opens the channel of `terms` with the usual deposit.
    function open(Terms memory terms) internal returns (ChannelId id) {
        vm.prank(publisher);
        id = channels.open(terms, DEPOSIT);
    }

    /// @dev A channel in a given state, old enough that the rate bounds no claim within the deposit.
    function reach(Status status) internal returns (Terms memory terms, ChannelId id) {
        return reach(status, termsOf(0));
    }

    function reach(Status status, Terms memory terms) internal returns (Terms memory, ChannelId id) {
        id = channels.channelId(terms);
        if (status == Status.None) return (terms, id);
        open(terms);
        skip(DEPOSIT / CAP);
        if (status == Status.Notice || status == Status.Ended) {
            vm.prank(publisher);
            channels.notice(terms);
        }
        if (status == Status.Ended) skip(NOTICE);
        if (status == Status.Closed) {
            vm.prank(payout);
            channels.close(terms);
        }
        assertStatus(id, status);
        return (terms, id);
    }

    function skip(uint256 time) internal {
        vm.warp(block.timestamp + time);
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev A voucher over `total` with a good signature, ready to claim.
    function claimOf(Terms memory terms, uint256 total) internal view returns (Claim memory) {
        return Claim({
            agreement: channels.hashAgreement(terms.agreement),
            cap: terms.cap,
            window: terms.window,
            total: total,
            signature: sign(SIGNER_KEY, channels.voucherDigest(channels.channelId(terms), total))
        });
    }

    /// @dev A signature for releasing at `total`.
    function releaseOf(Terms memory terms, uint256 total) internal view returns (bytes memory) {
        return sign(SIGNER_KEY, channels.releaseDigest(channels.channelId(terms), total));
    }

    /// @dev Adds further payees with these shares, at addresses 1001, 1002, …
    function withPayees(Terms memory terms, uint32[] memory each) internal pure returns (Terms memory) {
        terms.payment.payees = new Payee[](each.length);
        for (uint256 i; i < each.length; ++i) {
            terms.payment.payees[i] = Payee({account: address(uint160(1001 + i)), share: each[i]});
        }
        return terms;
    }

    function shares(uint32 a, uint32 b) internal pure returns (uint32[] memory both) {
        both = new uint32[](2);
        (both[0], both[1]) = (a, b);
    }

    /// @dev A permit by the publisher for `amount`, good until now.
    function permitOf(uint256 amount) internal view returns (Permit memory) {
        return permitBy(PUBLISHER_KEY, token, amount);
    }

    /// @dev A permit by the owner of a key for `amount` of a token, good until now.
    function permitBy(uint256 key, IERC20Permit coin, uint256 amount) internal view returns (Permit memory) {
        bytes32 typehash =
            keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
        address owner = vm.addr(key);
        bytes32 content =
            keccak256(abi.encode(typehash, owner, address(channels), amount, coin.nonces(owner), block.timestamp));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", coin.DOMAIN_SEPARATOR(), content));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return Permit({deadline: block.timestamp, v: v, r: r, s: s});
    }

    /// @dev The one slot of a channel.
    function slotOf(ChannelId id) internal pure returns (bytes32) {
        return keccak256(abi.encode(id, CHANNELS_SLOT));
    }

    function assertEq(uint256 got, uint256 want, string memory what) internal pure {
        require(got == want, string.concat(what, ": got ", vm.toString(got), ", want ", vm.toString(want)));
    }

    function assertEq(bytes32 got, bytes32 want, string memory what) internal pure {
        assertEq(uint256(got), uint256(want), what);
    }

    function assertStatus(ChannelId id, Status want) internal view {
        assertEq(uint256(channels.status(id)), uint256(want), "status");
    }

    function assertState(ChannelId id, State memory want) internal view {
        State memory got = channels.state(id);
        assertEq(got.deposited, want.deposited, "deposited");
        assertEq(got.claimed, want.claimed, "claimed");
        assertEq(got.spentUntil, want.spentUntil, "spentUntil");
        assertEq(got.noticeEnd, want.noticeEnd, "noticeEnd");
    }
}
