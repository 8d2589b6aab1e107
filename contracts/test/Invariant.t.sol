// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {vm} from "./Vm.sol";
import {World} from "./invariant/World.sol";

/// @notice All invariants, each looked at after each call: 50,000 calls here, 1,000,000 with FOUNDRY_PROFILE=long.
/// @dev One function for all, because forge would do the same calls anew for each.
contract InvariantTest {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    World private world;

    function setUp() external {
        world = new World();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(world);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector({addr: address(world), selectors: new bytes4[](13)});
        bytes4[13] memory acts = [
            World.open.selector,
            World.deposit.selector,
            World.claim.selector,
            World.claimBatch.selector,
            World.release.selector,
            World.notice.selector,
            World.withdraw.selector,
            World.close.selector,
            World.withdrawCredit.selector,
            World.spoil.selector,
            World.meddle.selector,
            World.reenter.selector,
            World.pass.selector
        ];
        for (uint256 i; i < 13; ++i) {
            targets[0].selectors[i] = acts[i];
        }
    }

    /// All channels after each call; the money of the token that the call was about, and of one other in turn.
    function invariantAll() external view {
        uint256[] memory owed = world.checkChannels();
        uint256 touched = world.touched();
        uint256 sound = world.sound();
        uint256 other = world.calls() % sound;
        if (touched < sound) world.checkCoin(touched, owed[touched]);
        if (other != touched) world.checkCoin(other, owed[other]);
        world.checkReentry();
    }

    /// A world in which little happens proves little. Short runs are those of a failure being looked at again.
    function afterInvariant() external view {
        uint256 calls = world.calls();
        if (calls < 400) return;
        for (uint256 i; i < 13; ++i) {
            string memory act = world.acts(i);
            require(world.done(act) != 0, string.concat("never done in this run: ", act));
        }
        require(world.useful() * 100 >= calls * 80, string.concat("useful calls: ", vm.toString(world.useful())));
        require(world.drills() * 100 >= calls * 35, string.concat("exits tried: ", vm.toString(world.drills())));
    }
}
