// SPDX-License-Identifier: Apache-2.0

// Code generated via abigen V2 - DO NOT EDIT.
// This file is a generated binding and any manual changes will be lost.

package channels

import (
	"bytes"
	"errors"
	"math/big"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/accounts/abi/bind/v2"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
)

// Reference imports to suppress errors if they are not otherwise used.
var (
	_ = bytes.Equal
	_ = errors.New
	_ = big.NewInt
	_ = common.Big1
	_ = types.BloomLookup
	_ = abi.ConvertType
)

// Agreement is an auto generated low-level Go binding around an user-defined struct.
type Agreement struct {
	Publisher common.Address
	App       [32]byte
	Tariff    [32]byte
	Quote     [32]byte
	Notice    *big.Int
	Salt      [32]byte
}

// Claim is an auto generated low-level Go binding around an user-defined struct.
type Claim struct {
	Agreement [32]byte
	Cap       *big.Int
	Window    *big.Int
	Total     *big.Int
	Signature []byte
}

// Payee is an auto generated low-level Go binding around an user-defined struct.
type Payee struct {
	Account common.Address
	Share   uint32
}

// Payment is an auto generated low-level Go binding around an user-defined struct.
type Payment struct {
	Token  common.Address
	Payout common.Address
	Payees []Payee
	Signer common.Address
}

// Permit is an auto generated low-level Go binding around an user-defined struct.
type Permit struct {
	Deadline *big.Int
	V        uint8
	R        [32]byte
	S        [32]byte
}

// State is an auto generated low-level Go binding around an user-defined struct.
type State struct {
	Deposited  *big.Int
	Claimed    *big.Int
	SpentUntil *big.Int
	NoticeEnd  *big.Int
}

// Terms is an auto generated low-level Go binding around an user-defined struct.
type Terms struct {
	Payment   Payment
	Cap       *big.Int
	Window    *big.Int
	Agreement Agreement
}

// ChannelsMetaData contains all meta data concerning the Channels contract.
var ChannelsMetaData = bind.MetaData{
	ABI: "[{\"type\":\"constructor\",\"inputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"MAX_NOTICE\",\"inputs\":[],\"outputs\":[{\"name\":\"\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"MAX_PAYEES\",\"inputs\":[],\"outputs\":[{\"name\":\"\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"MIN_NOTICE\",\"inputs\":[],\"outputs\":[{\"name\":\"\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"ONE\",\"inputs\":[],\"outputs\":[{\"name\":\"\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"channelId\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]}],\"outputs\":[{\"name\":\"\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"claim\",\"inputs\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"item\",\"type\":\"tuple\",\"internalType\":\"structClaim\",\"components\":[{\"name\":\"agreement\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"total\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"signature\",\"type\":\"bytes\",\"internalType\":\"bytes\"}]}],\"outputs\":[{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"claimBatch\",\"inputs\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"items\",\"type\":\"tuple[]\",\"internalType\":\"structClaim[]\",\"components\":[{\"name\":\"agreement\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"total\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"signature\",\"type\":\"bytes\",\"internalType\":\"bytes\"}]}],\"outputs\":[{\"name\":\"amounts\",\"type\":\"uint256[]\",\"internalType\":\"uint256[]\"}],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"claimable\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"total\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"outputs\":[{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"close\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]}],\"outputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"credit\",\"inputs\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"}],\"outputs\":[{\"name\":\"\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"deposit\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"outputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"depositWithPermit\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"permit\",\"type\":\"tuple\",\"internalType\":\"structPermit\",\"components\":[{\"name\":\"deadline\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"v\",\"type\":\"uint8\",\"internalType\":\"uint8\"},{\"name\":\"r\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"s\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}],\"outputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"eip712Domain\",\"inputs\":[],\"outputs\":[{\"name\":\"fields\",\"type\":\"bytes1\",\"internalType\":\"bytes1\"},{\"name\":\"name\",\"type\":\"string\",\"internalType\":\"string\"},{\"name\":\"version\",\"type\":\"string\",\"internalType\":\"string\"},{\"name\":\"chainId\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"verifyingContract\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"extensions\",\"type\":\"uint256[]\",\"internalType\":\"uint256[]\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"hashAgreement\",\"inputs\":[{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}],\"outputs\":[{\"name\":\"\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"notice\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]}],\"outputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"open\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"outputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"}],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"openDigest\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"deadline\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"outputs\":[{\"name\":\"\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"openFor\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"deadline\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"signature\",\"type\":\"bytes\",\"internalType\":\"bytes\"},{\"name\":\"permit\",\"type\":\"tuple\",\"internalType\":\"structPermit\",\"components\":[{\"name\":\"deadline\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"v\",\"type\":\"uint8\",\"internalType\":\"uint8\"},{\"name\":\"r\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"s\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}],\"outputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"}],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"openWithPermit\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"permit\",\"type\":\"tuple\",\"internalType\":\"structPermit\",\"components\":[{\"name\":\"deadline\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"v\",\"type\":\"uint8\",\"internalType\":\"uint8\"},{\"name\":\"r\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"s\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}],\"outputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"}],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"release\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]},{\"name\":\"total\",\"type\":\"uint256\",\"internalType\":\"uint256\"},{\"name\":\"signature\",\"type\":\"bytes\",\"internalType\":\"bytes\"}],\"outputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"releaseDigest\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"},{\"name\":\"total\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"outputs\":[{\"name\":\"\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"state\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"}],\"outputs\":[{\"name\":\"\",\"type\":\"tuple\",\"internalType\":\"structState\",\"components\":[{\"name\":\"deposited\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"claimed\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"spentUntil\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"noticeEnd\",\"type\":\"uint40\",\"internalType\":\"uint40\"}]}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"status\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"}],\"outputs\":[{\"name\":\"\",\"type\":\"uint8\",\"internalType\":\"enumStatus\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"voucherDigest\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"internalType\":\"ChannelId\"},{\"name\":\"total\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"outputs\":[{\"name\":\"\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}],\"stateMutability\":\"view\"},{\"type\":\"function\",\"name\":\"withdraw\",\"inputs\":[{\"name\":\"terms\",\"type\":\"tuple\",\"internalType\":\"structTerms\",\"components\":[{\"name\":\"payment\",\"type\":\"tuple\",\"internalType\":\"structPayment\",\"components\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"payees\",\"type\":\"tuple[]\",\"internalType\":\"structPayee[]\",\"components\":[{\"name\":\"account\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"share\",\"type\":\"uint32\",\"internalType\":\"uint32\"}]},{\"name\":\"signer\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"name\":\"cap\",\"type\":\"uint88\",\"internalType\":\"uint88\"},{\"name\":\"window\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"agreement\",\"type\":\"tuple\",\"internalType\":\"structAgreement\",\"components\":[{\"name\":\"publisher\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"app\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"tariff\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"quote\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"},{\"name\":\"notice\",\"type\":\"uint40\",\"internalType\":\"uint40\"},{\"name\":\"salt\",\"type\":\"bytes32\",\"internalType\":\"bytes32\"}]}]}],\"outputs\":[],\"stateMutability\":\"nonpayable\"},{\"type\":\"function\",\"name\":\"withdrawCredit\",\"inputs\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"},{\"name\":\"to\",\"type\":\"address\",\"internalType\":\"address\"}],\"outputs\":[{\"name\":\"amount\",\"type\":\"uint256\",\"internalType\":\"uint256\"}],\"stateMutability\":\"nonpayable\"},{\"type\":\"event\",\"name\":\"ClaimSkipped\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"indexed\":true,\"internalType\":\"ChannelId\"},{\"name\":\"reason\",\"type\":\"bytes4\",\"indexed\":false,\"internalType\":\"bytes4\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"Claimed\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"indexed\":true,\"internalType\":\"ChannelId\"},{\"name\":\"amount\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"},{\"name\":\"claimed\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"Closed\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"indexed\":true,\"internalType\":\"ChannelId\"},{\"name\":\"claimed\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"},{\"name\":\"refunded\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"CreditWithdrawn\",\"inputs\":[{\"name\":\"token\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"account\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"to\",\"type\":\"address\",\"indexed\":false,\"internalType\":\"address\"},{\"name\":\"amount\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"Credited\",\"inputs\":[{\"name\":\"token\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"account\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"amount\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"Deposited\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"indexed\":true,\"internalType\":\"ChannelId\"},{\"name\":\"from\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"amount\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"EIP712DomainChanged\",\"inputs\":[],\"anonymous\":false},{\"type\":\"event\",\"name\":\"NoticeGiven\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"indexed\":true,\"internalType\":\"ChannelId\"},{\"name\":\"noticeEnd\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"event\",\"name\":\"Opened\",\"inputs\":[{\"name\":\"id\",\"type\":\"bytes32\",\"indexed\":true,\"internalType\":\"ChannelId\"},{\"name\":\"publisher\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"payout\",\"type\":\"address\",\"indexed\":true,\"internalType\":\"address\"},{\"name\":\"amount\",\"type\":\"uint256\",\"indexed\":false,\"internalType\":\"uint256\"}],\"anonymous\":false},{\"type\":\"error\",\"name\":\"AlreadyClosed\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"AlreadyNoticed\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"AlreadyOpened\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"AmountTooLarge\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"BadShares\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"BadSignature\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"Expired\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"InvalidShortString\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NoCredit\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NotOpened\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NotPayout\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NotPublisher\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NothingToClaim\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NoticeEnded\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NoticeNotEnded\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"NoticeOutOfBounds\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"ReentrancyGuardReentrantCall\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"SafeERC20FailedOperation\",\"inputs\":[{\"name\":\"token\",\"type\":\"address\",\"internalType\":\"address\"}]},{\"type\":\"error\",\"name\":\"StringTooLong\",\"inputs\":[{\"name\":\"str\",\"type\":\"string\",\"internalType\":\"string\"}]},{\"type\":\"error\",\"name\":\"ZeroAddress\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"ZeroAmount\",\"inputs\":[]},{\"type\":\"error\",\"name\":\"ZeroRate\",\"inputs\":[]}]",
	ID:  "Channels",
	Bin: "0x6102a06040526060610220818152906145bd61024039805190602001206101609081525060405180606001604052806023815260200161459a6023913980519060200120610180908152506040518060800160405280604381526020016145146043913960405180606001604052806023815260200161459a6023913960405160200161008d9291906103c1565b60408051601f1981840301815282825280516020918201206101a05260808301909152604380835290614557908301396040518060800160405280606081526020016145bd6060913960405180606001604052806023815260200161459a602391396040518060800160405280604381526020016145146043913960405160200161011b94939291906103dd565b60408051601f1981840301815282825280516020918201206101c052606083019091526031808352906144e3908301396040518060800160405280606081526020016145bd6060913960405180606001604052806023815260200161459a6023913960405180608001604052806043815260200161451460439139604051806080016040528060438152602001614557604391396040516020016101c3959493929190610407565b60408051601f1981840301815291905280516020909101206101e0523480156101ea575f5ffd5b5060405180604001604052806008815260200167082e0dec6e4f2e0d60c31b815250604051806040016040528060018152602001603160f81b815250610235826102d560201b60201c565b61012052610242816102d5565b61014052815160208084019190912060e052815190820120610100524660a0526102bb60e05161010051604080515f51602061461d5f395f51905f5260208201529081019290925260608201524660808201523060a08201525f9060c00160405160208183030381529060405280519060200120905090565b60805250503060c0526102cc61031b565b6102005261048a565b5f5f829050601f81511115610308578260405163305a27a960e01b81526004016102ff919061042f565b60405180910390fd5b805161031382610464565b179392505050565b5f60c0516001600160a01b0316306001600160a01b0316148015610340575060a05146145b1561034c575060805190565b6103a560e05161010051604080515f51602061461d5f395f51905f5260208201529081019290925260608201524660808201523060a08201525f9060c00160405160208183030381529060405280519060200120905090565b905090565b5f81518060208401855e5f93019283525090919050565b5f6103d56103cf83866103aa565b846103aa565b949350505050565b5f6103fd6103cf6103f76103f1858a6103aa565b886103aa565b866103aa565b9695505050505050565b5f6104246103cf6103f76103f161041e868c6103aa565b8a6103aa565b979650505050505050565b602081525f82518060208401528060208501604085015e5f604082850101526040601f19601f83011684010191505092915050565b80516020808301519190811015610484575f198160200360031b1b821691505b50919050565b60805160a05160c05160e05161010051610120516101405161016051610180516101a0516101c0516101e05161020051613fc561051e5f395f6120f801525f61061d01525f8181611db7015261245801525f6123a601525f6122d601525f61053801525f61290b01525f6128db01525f612c5801525f612c3001525f612b8b01525f612bb501525f612bdf0152613fc55ff3fe608060405234801561000f575f5ffd5b50600436106101a5575f3560e01c80638272ee56116100e8578063c2ee3a0811610093578063d1af54e01161006e578063d1af54e014610459578063e55aee261461046c578063f7aafc261461047f578063f90ab0bf14610492575f5ffd5b8063c2ee3a0814610412578063cc1f0d2d1461041c578063cedc7a0814610446575f5ffd5b8063a259665f116100c3578063a259665f146103ec578063a2e34278146103ff578063bcebe34b14610409575f5ffd5b80638272ee56146103ab57806384b0196e146103be57806389a6d8af146103d9575f5ffd5b8063555f9a9f116101535780635ecc86e81161012e5780635ecc86e81461027657806361d585da1461027e578063621aec8a146103855780638176a11214610398575f5ffd5b8063555f9a9f1461023d5780635d560f53146102505780635eb915ca14610263575f5ffd5b806330ea31051161018357806330ea3105146101f75780634e8c52411461020a57806352ad0d5e1461021d575f5ffd5b80630513883c146101a95780630abb050c146101cf5780631835d07c146101e4575b5f5ffd5b6101bc6101b73660046135ba565b6104b2565b6040519081526020015b60405180910390f35b6101e26101dd3660046135f1565b610517565b005b6101bc6101f2366004613633565b610535565b6101bc6102053660046135f1565b610586565b6101bc61021836600461364c565b610617565b61023061022b366004613696565b610674565b6040516101c691906136da565b6101e261024b366004613719565b6106f6565b6101bc61025e366004613719565b610828565b6101bc61027136600461376e565b61083a565b6101bc600881565b61032661028c366004613696565b60408051608080820183525f808352602080840182905283850182905260609384018290529481526002855283902083519182018452546affffffffffffffffffffff80821683526b0100000000000000000000008204169482019490945264ffffffffff7601000000000000000000000000000000000000000000008504811693820193909352600160d81b9093049091169082015290565b6040516101c691905f6080820190506affffffffffffffffffffff83511682526affffffffffffffffffffff602084015116602083015264ffffffffff604084015116604083015264ffffffffff606084015116606083015292915050565b6101e26103933660046137af565b610947565b6101bc6103a63660046137af565b610989565b6101bc6103b9366004613803565b610a3d565b6103c6610cc7565b6040516101c697969594939291906138f4565b6101e26103e7366004613719565b610d25565b6101bc6103fa3660046135f1565b610e88565b6101bc62278d0081565b6101bc610e1081565b6101bc620f424081565b6101bc61042a36600461376e565b600360209081525f928352604080842090915290825290205481565b6101bc6104543660046139cf565b610f83565b6101e2610467366004613a5d565b61106e565b6101bc61047a3660046135ba565b6112f5565b6101e261048d366004613719565b61133a565b6104a56104a0366004613acd565b6115ce565b6040516101c69190613b68565b604080517f4b92f35e94faec100acc06d1987f0193758c61e6ac5f34d1874db49819423ebb6020820152908101839052606081018290525f9061050e906080015b60405160208183030381529060405280519060200120611797565b90505b92915050565b61051f6117de565b6105298282611815565b610531611ae9565b5050565b5f7f000000000000000000000000000000000000000000000000000000000000000082604051602001610569929190613b8e565b604051602081830303815290604052805190602001209050919050565b5f61058f6117de565b61059f6080840160608501613c0d565b73ffffffffffffffffffffffffffffffffffffffff163373ffffffffffffffffffffffffffffffffffffffff1614610603576040517f6cc8883a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b61060d8383611b13565b9050610511611ae9565b5f61066a7f000000000000000000000000000000000000000000000000000000000000000061064586611db4565b604080516020810193909352820152606081018590526080810184905260a0016104f3565b90505b9392505050565b5f818152600260209081526040808320815160808101835290546affffffffffffffffffffff80821683526b0100000000000000000000008204169382019390935264ffffffffff7601000000000000000000000000000000000000000000008404811692820192909252600160d81b90920416606082015261051190611e53565b6106fe6117de565b6107088180613c26565b610719906040810190602001613c0d565b73ffffffffffffffffffffffffffffffffffffffff163373ffffffffffffffffffffffffffffffffffffffff161461077d576040517f657f855800000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f61078782610828565b5f81815260026020908152604091829020825160808101845290546affffffffffffffffffffff80821683526b0100000000000000000000008204169282019290925264ffffffffff7601000000000000000000000000000000000000000000008304811693820193909352600160d81b909104909116606082015290915061080f81611ec9565b5061081b828285611f6f565b5050610825611ae9565b50565b5f61051161083583611db4565b6120d0565b5f6108436117de565b5073ffffffffffffffffffffffffffffffffffffffff82165f908152600360209081526040808320338452909152812054908190036108ae576040517f315b0e1400000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b73ffffffffffffffffffffffffffffffffffffffff8381165f81815260036020908152604080832033808552908352818420939093558051948716855290840185905290927fd430aface48b16af1448d6ebf0bff9dc475b838e4d48c1ee1b3e45001e9889a5910160405180910390a361093f73ffffffffffffffffffffffffffffffffffffffff8416838361212e565b610511611ae9565b61094f6117de565b61097261095c8480613c26565b61096a906020810190613c0d565b83833361218e565b61097c8383611815565b610984611ae9565b505050565b5f6109926117de565b6109a26080850160608601613c0d565b73ffffffffffffffffffffffffffffffffffffffff163373ffffffffffffffffffffffffffffffffffffffff1614610a06576040517f6cc8883a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b610a29610a138580613c26565b610a21906020810190613c0d565b84843361218e565b610a338484611b13565b905061066d611ae9565b5f610a466117de565b5f610a546040850185613c62565b610a6091506001613cf3565b67ffffffffffffffff811115610a7857610a78613d06565b604051908082528060200260200182016040528015610aa1578160200160208202803683370190505b5090505f610ac2610aba610ab48761226f565b86612452565b8686856124ed565b90935090507f92c9bf76000000000000000000000000000000000000000000000000000000007fffffffff00000000000000000000000000000000000000000000000000000000821601610b42576040517f6d36408a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b7f653481ae000000000000000000000000000000000000000000000000000000007fffffffff00000000000000000000000000000000000000000000000000000000821601610bbd576040517f9acb7e5200000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b7f696408d8000000000000000000000000000000000000000000000000000000007fffffffff00000000000000000000000000000000000000000000000000000000821601610c38576040517f969bf72800000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b7fa32a2dcd000000000000000000000000000000000000000000000000000000007fffffffff00000000000000000000000000000000000000000000000000000000821601610cb3576040517f5cd5d23300000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b610cbd858361281b565b5050610511611ae9565b5f6060805f5f5f6060610cd86128d4565b610ce0612904565b604080515f808252602082019092527f0f000000000000000000000000000000000000000000000000000000000000009b939a50919850469750309650945092509050565b610d2d6117de565b610d3d6080820160608301613c0d565b73ffffffffffffffffffffffffffffffffffffffff163373ffffffffffffffffffffffffffffffffffffffff1614610da1576040517f6cc8883a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f610dab82610828565b5f81815260026020908152604091829020825160808101845290546affffffffffffffffffffff80821683526b0100000000000000000000008204169282019290925264ffffffffff7601000000000000000000000000000000000000000000008304811693820193909352600160d81b90910490911660608201529091506003610e3582611ec9565b6004811115610e4657610e466136ad565b14610e7d576040517ffed8a2d400000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b61081b828285611f6f565b5f5f60025f610e9686610828565b815260208082019290925260409081015f20815160808101835290546affffffffffffffffffffff80821683526b0100000000000000000000008204169382019390935264ffffffffff76010000000000000000000000000000000000000000000084048116928201839052600160d81b90930490921660608301529091501580610f2c5750606081015164ffffffffff908116145b15610f3a575f915050610511565b610f7b610f4d6040860160208701613d33565b6affffffffffffffffffffff16610f6a6060870160408801613d5d565b83919064ffffffffff16864261292f565b949350505050565b5f610f8c6117de565b5f610f9d6080890160608a01613c0d565b905085421115610fd9576040517f203d82d800000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b610fef81610fe88a8a8a610617565b87876129ec565b611025576040517f5cd5d23300000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b82351561104f5761104f6110398980613c26565b611047906020810190613c0d565b88858461218e565b6110598888611b13565b915050611064611ae9565b9695505050505050565b6110766117de565b5f61108085610828565b5f81815260026020908152604091829020825160808101845290546affffffffffffffffffffff80821683526b0100000000000000000000008204169282019290925264ffffffffff7601000000000000000000000000000000000000000000008304811693820193909352600160d81b909104909116606082015290915061110881611ec9565b506111386111168780613c26565b611127906080810190606001613c0d565b61113184886104b2565b86866129ec565b61116e576040517f5cd5d23300000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f6111798780613c26565b611187906040810190613c62565b61119391506001613cf3565b67ffffffffffffffff8111156111ab576111ab613d06565b6040519080825280602002602001820160405280156111d4578160200160208202803683370190505b5090505f6112196111eb60408a0160208b01613d33565b6affffffffffffffffffffff1661120860608b0160408c01613d5d565b85919064ffffffffff168a4261292f565b905080156112c557837f41628d0ba42442e4aa4fc514eeb97bb7154969e70e6678229c836f3b9732ba9082856020015160405161126d9291909182526affffffffffffffffffffff16602082015260400190565b60405180910390a26112c56112828980613c26565b611290906040810190613c62565b8386602001516affffffffffffffffffffff166112ad9190613d76565b86602001516affffffffffffffffffffff1686612a72565b6112d084848a611f6f565b6112e36112dd8980613c26565b8361281b565b505050506112ef611ae9565b50505050565b604080517f105039c846bd52bc06d9ff84548267b82a711cf1b3907e2055eb8e992108aca46020820152908101839052606081018290525f9061050e906080016104f3565b6113426117de565b6113526080820160608301613c0d565b73ffffffffffffffffffffffffffffffffffffffff163373ffffffffffffffffffffffffffffffffffffffff16146113b6576040517f6cc8883a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f6113c082610828565b5f81815260026020908152604091829020825160808101845290546affffffffffffffffffffff80821683526b0100000000000000000000008204169282019290925264ffffffffff7601000000000000000000000000000000000000000000008304811693820193909352600160d81b9091049091166060820152909150600161144a82611ec9565b600481111561145b5761145b6136ad565b14611492576040517f25d5769d00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f6114a4610100850160e08601613d5d565b6114ae9042613d89565b64ffffffffff818116606085018181525f8781526002602090815260409182902088518154838b0151858c015196518916600160d81b027affffffffffffffffffffffffffffffffffffffffffffffffffffff97909916760100000000000000000000000000000000000000000000029690961675ffffffffffffffffffffffffffffffffffffffffffff6affffffffffffffffffffff9788166b010000000000000000000000027fffffffffffffffffffff000000000000000000000000000000000000000000009093169790931696909617171693909317949094179091555190815291925084917f1cc666ea49850d2f4cc5ebf71e92f5f56181a46a10935023728f910c98253d6d910160405180910390a2505050610825611ae9565b60606115d86117de565b5f6115e66040860186613c62565b6115f291506001613cf3565b67ffffffffffffffff81111561160a5761160a613d06565b604051908082528060200260200182016040528015611633578160200160208202803683370190505b5090508267ffffffffffffffff81111561164f5761164f613d06565b604051908082528060200260200182016040528015611678578160200160208202803683370190505b5091505f6116858661226f565b90505f5b8481101561178257368686838181106116a4576116a4613da6565b90506020028101906116b69190613dd3565b90505f6116c38483612452565b90505f6116d2828b85896124ed565b8886815181106116e4576116e4613da6565b602090810291909101019190915290507fffffffff00000000000000000000000000000000000000000000000000000000811615611774576040517fffffffff000000000000000000000000000000000000000000000000000000008216815282907fac5a957b725c6a92027fd73e8878b43b02e70f0c6f2b5d3e7e8cc75a00a43e299060200160405180910390a25b505050806001019050611689565b5061178d868361281b565b505061066d611ae9565b5f6105116117a3612b72565b836040517f19010000000000000000000000000000000000000000000000000000000000008152600281019290925260228201526042902090565b6117e6612ca8565b61181360017f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f005b90612d01565b565b5f61181f83610828565b5f81815260026020908152604091829020825160808101845290546affffffffffffffffffffff80821683526b0100000000000000000000008204169282019290925264ffffffffff7601000000000000000000000000000000000000000000008304811693820193909352600160d81b909104909116606082015290915060036118a982611ec9565b60048111156118ba576118ba6136ad565b036118f1576040517f47c3bde900000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b825f0361192a576040517f1f2a200500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b8051611941906affffffffffffffffffffff613e05565b6affffffffffffffffffffff16831115611987576040517f0625040100000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b82815f018181516119989190613e28565b6affffffffffffffffffffff9081169091525f8481526002602090815260409182902085518154878401518886015160608a01519388167fffffffffffffffffffff00000000000000000000000000000000000000000000909316929092176b01000000000000000000000091909716029590951775ffffffffffffffffffffffffffffffffffffffffffff1676010000000000000000000000000000000000000000000064ffffffffff968716027affffffffffffffffffffffffffffffffffffffffffffffffffffff1617600160d81b9590911694909402939093179092555185815233925084917f87d4c0b5e30d6808bc8a94ba1c4d839b29d664151551a31753387ee9ef48429b910160405180910390a36112ef333085611abd8880613c26565b611acb906020810190613c0d565b73ffffffffffffffffffffffffffffffffffffffff16929190612d08565b6118135f7f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f0061180d565b5f611b1d83612d64565b815f03611b56576040517f1f2a200500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6affffffffffffffffffffff821115611b9b576040517f0625040100000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b611ba483610828565b5f81815260026020526040902054909150760100000000000000000000000000000000000000000000900464ffffffffff1615611c0d576040517f1da42b2600000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b60408051608080820183526affffffffffffffffffffff85811683525f60208085018281524264ffffffffff90811687890190815260608089018681528b87526002909552988520975188549351915194519087167fffffffffffffffffffff00000000000000000000000000000000000000000000909416939093176b01000000000000000000000091909616029490941775ffffffffffffffffffffffffffffffffffffffffffff16760100000000000000000000000000000000000000000000928516929092027affffffffffffffffffffffffffffffffffffffffffffffffffffff1691909117600160d81b9190931602919091179092559091611d19918601908601613c0d565b9050611d258480613c26565b611d36906040810190602001613c0d565b73ffffffffffffffffffffffffffffffffffffffff168173ffffffffffffffffffffffffffffffffffffffff16837f0a7a6776ec621c9fb70fc57a7260e521f73d8203d1ec5990ce718b373fcc003f86604051611d9591815260200190565b60405180910390a4611dad813085611abd8880613c26565b5092915050565b5f7f0000000000000000000000000000000000000000000000000000000000000000611de8611de38480613c26565b61226f565b611df86040850160208601613d33565b611e086060860160408701613d5d565b611e1486606001610535565b6040805160208101969096528501939093526affffffffffffffffffffff909116606084015264ffffffffff16608083015260a082015260c001610569565b5f816040015164ffffffffff165f03611e6d57505f919050565b816060015164ffffffffff165f03611e8757506001919050565b64ffffffffff8016826060015164ffffffffff1603611ea857506004919050565b816060015164ffffffffff164210611ec1576003610511565b600292915050565b5f611ed382611e53565b90505f816004811115611ee857611ee86136ad565b03611f1f576040517f6d36408a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b6004816004811115611f3357611f336136ad565b03611f6a576040517f9acb7e5200000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b919050565b602082015182515f91611f8191613e05565b64ffffffffff606085018181525f8781526002602090815260409182902088518154838b0151858c015196516affffffffffffffffffffff9384167fffffffffffffffffffff00000000000000000000000000000000000000000000909316929092176b0100000000000000000000009184169182021775ffffffffffffffffffffffffffffffffffffffffffff16760100000000000000000000000000000000000000000000978916979097027affffffffffffffffffffffffffffffffffffffffffffffffffffff1696909617600160d81b919097160295909517905581519283529390921692810183905291925085917fae5dc4312c3d3381e38e7d66fc4d59f0a2678332c229c3e61ef1ad527aa34af1910160405180910390a26112ef6120ac8380613c26565b6120ba906020810190613c0d565b6120ca6080850160608601613c0d565b8361309f565b6040517f190100000000000000000000000000000000000000000000000000000000000081527f0000000000000000000000000000000000000000000000000000000000000000600282015260228101829052604290205f90610511565b61213b8383836001613188565b610984576040517f5274afe700000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff841660048201526024015b60405180910390fd5b73ffffffffffffffffffffffffffffffffffffffff841663d505accf82308686356121bf6040890160208a01613e4b565b604080517fffffffff0000000000000000000000000000000000000000000000000000000060e089901b16815273ffffffffffffffffffffffffffffffffffffffff96871660048201529590941660248601526044850192909252606484015260ff16608483015285013560a4820152606085013560c482015260e4015f604051808303815f87803b158015612253575f5ffd5b505af1925050508015612264575060015b156112ef5750505050565b5f368161227f6040850185613c62565b90925090505f8167ffffffffffffffff81111561229e5761229e613d06565b6040519080825280602002602001820160405280156122c7578160200160208202803683370190505b5090505f5b82811015612359577f000000000000000000000000000000000000000000000000000000000000000084848381811061230757612307613da6565b90506040020160405160200161231e929190613e7e565b6040516020818303038152906040528051906020012082828151811061234657612346613da6565b60209081029190910101526001016122cc565b505f8160405160200161236c9190613ec7565b604080517fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0818403018152919052805160209182012091507f0000000000000000000000000000000000000000000000000000000000000000906123d290880188613c0d565b6123e26040890160208a01613c0d565b836123f360808b0160608c01613c0d565b60408051602081019690965273ffffffffffffffffffffffffffffffffffffffff94851690860152918316606085015260808401521660a082015260c00160405160208183030381529060405280519060200120945050505050919050565b5f61050e7f0000000000000000000000000000000000000000000000000000000000000000846124886040860160208701613d33565b6124986060870160408801613d5d565b6040805160208101959095528401929092526affffffffffffffffffffff16606083015264ffffffffff166080820152833560a082015260c001604051602081830303815290604052805190602001206120d0565b5f848152600260209081526040808320815160808101835290546affffffffffffffffffffff80821683526b0100000000000000000000008204169382019390935264ffffffffff76010000000000000000000000000000000000000000000084048116928201839052600160d81b9093049092166060830152829190820361259c57505f91507f6d36408a000000000000000000000000000000000000000000000000000000009050612812565b64ffffffffff8016816060015164ffffffffff16036125e157505f91507f9acb7e52000000000000000000000000000000000000000000000000000000009050612812565b6126266125f46040870160208801613d33565b6affffffffffffffffffffff166126116060880160408901613d5d565b83919064ffffffffff1660608901354261292f565b9250825f0361265b57505f91507f969bf728000000000000000000000000000000000000000000000000000000009050612812565b61268e61266e6080880160608901613c0d565b61267c8988606001356112f5565b6126896080890189613efc565b6129ec565b6126be57505f91507f5cd5d233000000000000000000000000000000000000000000000000000000009050612812565b5f8781526002602090815260409182902083518154858401518686015160608801516affffffffffffffffffffff9485167fffffffffffffffffffff00000000000000000000000000000000000000000000909416939093176b010000000000000000000000949092169384029190911775ffffffffffffffffffffffffffffffffffffffffffff1676010000000000000000000000000000000000000000000064ffffffffff928316027affffffffffffffffffffffffffffffffffffffffffffffffffffff1617600160d81b91909216021790915582518681529182015288917f41628d0ba42442e4aa4fc514eeb97bb7154969e70e6678229c836f3b9732ba90910160405180910390a26128106127db6040880188613c62565b8584602001516affffffffffffffffffffff166127f89190613d76565b84602001516affffffffffffffffffffff1688612a72565b505b94509492505050565b5f6128296040840184613c62565b905090505f5b818110156128a1576128996128476020860186613c0d565b6128546040870187613c62565b8481811061286457612864613da6565b61287a9260206040909202019081019150613c0d565b85848151811061288c5761288c613da6565b602002602001015161309f565b60010161282f565b506109846128b26020850185613c0d565b6128c26040860160208701613c0d565b84848151811061288c5761288c613da6565b60606128ff7f0000000000000000000000000000000000000000000000000000000000000000613210565b905090565b60606128ff7f0000000000000000000000000000000000000000000000000000000000000000613210565b5f856060015164ffffffffff165f141580156129565750856060015164ffffffffff168210155b1561296257505f6129e3565b5f61299e875f01516affffffffffffffffffffff1688602001516affffffffffffffffffffff16896040015164ffffffffff168989898961324d565b90925090505f8290036129b4575f9150506129e3565b81876020018181516129c69190613e28565b6affffffffffffffffffffff1690525064ffffffffff1660408701525b95945050505050565b5f5f5f6129fa868686613307565b5090925090505f816003811115612a1357612a136136ad565b148015612a4b57508673ffffffffffffffffffffffffffffffffffffffff168273ffffffffffffffffffffffffffffffffffffffff16145b15612a5b57600192505050610f7b565b612a678787878761334e565b979650505050505050565b620f42405f5b85811015612b34575f878783818110612a9357612a93613da6565b9050604002016020016020810190612aab9190613f5d565b63ffffffff1690505f612abf8783866133d1565b90505f612acd8784876133d1565b9050612ad98282613d76565b868581518110612aeb57612aeb613da6565b60200260200101818151612aff9190613cf3565b905250612b0c8289613d76565b9750612b188188613d76565b9650612b248386613d76565b9450505050806001019050612a78565b50612b3f8484613d76565b8251839087908110612b5357612b53613da6565b60200260200101818151612b679190613cf3565b905250505050505050565b5f3073ffffffffffffffffffffffffffffffffffffffff7f000000000000000000000000000000000000000000000000000000000000000016148015612bd757507f000000000000000000000000000000000000000000000000000000000000000046145b15612c0157507f000000000000000000000000000000000000000000000000000000000000000090565b6128ff604080517f8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f60208201527f0000000000000000000000000000000000000000000000000000000000000000918101919091527f000000000000000000000000000000000000000000000000000000000000000060608201524660808201523060a08201525f9060c00160405160208183030381529060405280519060200120905090565b7f9b779b17422d0df92223018b32b4d1fa46e071723d6817e2486d003becc55f005c15611813576040517f3ee5aeb500000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b80825d5050565b612d168484848460016133e7565b6112ef576040517f5274afe700000000000000000000000000000000000000000000000000000000815273ffffffffffffffffffffffffffffffffffffffff85166004820152602401612185565b36612d6f8280613c26565b90505f612d826040830160208401613c0d565b73ffffffffffffffffffffffffffffffffffffffff1614158015612dcb57505f612db26080830160608401613c0d565b73ffffffffffffffffffffffffffffffffffffffff1614155b612e01576040517fd92e233d00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b612e116040830160208401613d33565b6affffffffffffffffffffff1615801590612e415750612e376060830160408401613d5d565b64ffffffffff1615155b612e77576040517f299dcf9a00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f612e89610100840160e08501613d5d565b64ffffffffff169050610e108110158015612ea7575062278d008111155b612edd576040517fd190def300000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b365f612eec6040850185613c62565b90925090506008811115612f2c576040517f7eb0170600000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f5f5b82811015613059575f848483818110612f4a57612f4a613da6565b612f609260206040909202019081019150613c0d565b73ffffffffffffffffffffffffffffffffffffffff1603612fad576040517fd92e233d00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b838382818110612fbf57612fbf613da6565b9050604002016020016020810190612fd79190613f5d565b63ffffffff165f03613015576040517f7eb0170600000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b83838281811061302757613027613da6565b905060400201602001602081019061303f9190613f5d565b61304f9063ffffffff1683613cf3565b9150600101612f2f565b50620f4240811115613097576040517f7eb0170600000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b505050505050565b8015806130c857506130c873ffffffffffffffffffffffffffffffffffffffff8416838361347a565b156130d257505050565b73ffffffffffffffffffffffffffffffffffffffff8084165f90815260036020908152604080832093861683529290529081208054839290613115908490613cf3565b925050819055508173ffffffffffffffffffffffffffffffffffffffff168373ffffffffffffffffffffffffffffffffffffffff167f4e45da441832cf53bdaa69235704fc0575e68210f459ee1562911024b12967d58360405161317b91815260200190565b60405180910390a3505050565b6040517fa9059cbb000000000000000000000000000000000000000000000000000000005f81815273ffffffffffffffffffffffffffffffffffffffff8616600452602485905291602083604481808b5af1925060015f511483166132045783831516156131f8573d5f823e3d81fd5b5f873b113d1516831692505b60405250949350505050565b60605f61321c83613487565b6040805160208082528183019092529192505f91906020820181803683375050509182525060208101929092525090565b5f858884111561325b578893505b87841161326a575f91506132fb565b8483118015613281575061327e8584613d76565b81105b15613293576132908584613d76565b90505b61329d8184613d76565b6132a79087613f76565b91506132b38885613d76565b8211156132c7576132c48885613d76565b91505b81156132fb57856132d9600184613d76565b6132e39190613f8d565b6132ee906001613cf3565b6132f89082613cf3565b90505b97509795505050505050565b5f8080604184900361333b578435602086013560408701355f1a61332d898285856134c7565b955095509550505050613345565b505f915060029050825b93509350939050565b604080517f1626ba7e00000000000000000000000000000000000000000000000000000000808252600482018690526024820192909252604481018390525f91908390818660648301375f82606483010152601f820160051c60051b915060205f60648401838b5afa9050825f5114601f3d111681169350505050949350505050565b5f816133dd8486613f76565b61066a9190613f8d565b6040517f23b872dd000000000000000000000000000000000000000000000000000000005f81815273ffffffffffffffffffffffffffffffffffffffff8781166004528616602452604485905291602083606481808c5af1925060015f5114831661346957838315161561345d573d5f823e3d81fd5b5f883b113d1516831692505b604052505f60605295945050505050565b5f61066a8484845f613188565b5f60ff8216601f811115610511576040517fb3512b0c00000000000000000000000000000000000000000000000000000000815260040160405180910390fd5b5f80807f7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a084111561350057505f915060039050826135b0565b604080515f808252602082018084528a905260ff891692820192909252606081018790526080810186905260019060a0016020604051602081039080840390855afa158015613551573d5f5f3e3d5ffd5b50506040517fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0015191505073ffffffffffffffffffffffffffffffffffffffff81166135a757505f9250600191508290506135b0565b92505f91508190505b9450945094915050565b5f5f604083850312156135cb575f5ffd5b50508035926020909101359150565b5f61012082840312156135eb575f5ffd5b50919050565b5f5f60408385031215613602575f5ffd5b823567ffffffffffffffff811115613618575f5ffd5b613624858286016135da565b95602094909401359450505050565b5f60c0828403128015613644575f5ffd5b509092915050565b5f5f5f6060848603121561365e575f5ffd5b833567ffffffffffffffff811115613674575f5ffd5b613680868287016135da565b9660208601359650604090950135949350505050565b5f602082840312156136a6575f5ffd5b5035919050565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52602160045260245ffd5b6020810160058310613713577f4e487b71000000000000000000000000000000000000000000000000000000005f52602160045260245ffd5b91905290565b5f60208284031215613729575f5ffd5b813567ffffffffffffffff81111561373f575f5ffd5b610f7b848285016135da565b803573ffffffffffffffffffffffffffffffffffffffff81168114611f6a575f5ffd5b5f5f6040838503121561377f575f5ffd5b6137888361374b565b91506137966020840161374b565b90509250929050565b5f608082840312156135eb575f5ffd5b5f5f5f60c084860312156137c1575f5ffd5b833567ffffffffffffffff8111156137d7575f5ffd5b6137e3868287016135da565b935050602084013591506137fa856040860161379f565b90509250925092565b5f5f60408385031215613814575f5ffd5b823567ffffffffffffffff81111561382a575f5ffd5b6138368582860161379f565b925050602083013567ffffffffffffffff811115613852575f5ffd5b830160a08186031215613863575f5ffd5b809150509250929050565b5f81518084528060208401602086015e5f6020828601015260207fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe0601f83011685010191505092915050565b5f8151808452602084019350602083015f5b828110156138ea5781518652602095860195909101906001016138cc565b5093949350505050565b7fff000000000000000000000000000000000000000000000000000000000000008816815260e060208201525f61392e60e083018961386e565b8281036040840152613940818961386e565b905086606084015273ffffffffffffffffffffffffffffffffffffffff861660808401528460a084015282810360c084015261397c81856138ba565b9a9950505050505050505050565b5f5f83601f84011261399a575f5ffd5b50813567ffffffffffffffff8111156139b1575f5ffd5b6020830191508360208285010111156139c8575f5ffd5b9250929050565b5f5f5f5f5f5f61010087890312156139e5575f5ffd5b863567ffffffffffffffff8111156139fb575f5ffd5b613a0789828a016135da565b9650506020870135945060408701359350606087013567ffffffffffffffff811115613a31575f5ffd5b613a3d89828a0161398a565b9094509250613a519050886080890161379f565b90509295509295509295565b5f5f5f5f60608587031215613a70575f5ffd5b843567ffffffffffffffff811115613a86575f5ffd5b613a92878288016135da565b94505060208501359250604085013567ffffffffffffffff811115613ab5575f5ffd5b613ac18782880161398a565b95989497509550505050565b5f5f5f60408486031215613adf575f5ffd5b833567ffffffffffffffff811115613af5575f5ffd5b613b018682870161379f565b935050602084013567ffffffffffffffff811115613b1d575f5ffd5b8401601f81018613613b2d575f5ffd5b803567ffffffffffffffff811115613b43575f5ffd5b8660208260051b8401011115613b57575f5ffd5b939660209190910195509293505050565b602081525f61050e60208301846138ba565b803564ffffffffff81168114611f6a575f5ffd5b82815260e0810173ffffffffffffffffffffffffffffffffffffffff613bb38461374b565b1660208381019190915283013560408084019190915283013560608084019190915283013560808084019190915264ffffffffff90613bf3908501613b7a565b1660a083810191909152929092013560c090910152919050565b5f60208284031215613c1d575f5ffd5b61050e8261374b565b5f82357fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff81833603018112613c58575f5ffd5b9190910192915050565b5f5f83357fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe1843603018112613c95575f5ffd5b83018035915067ffffffffffffffff821115613caf575f5ffd5b6020019150600681901b36038213156139c8575f5ffd5b7f4e487b71000000000000000000000000000000000000000000000000000000005f52601160045260245ffd5b8082018082111561051157610511613cc6565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52604160045260245ffd5b5f60208284031215613d43575f5ffd5b81356affffffffffffffffffffff8116811461066d575f5ffd5b5f60208284031215613d6d575f5ffd5b61050e82613b7a565b8181038181111561051157610511613cc6565b64ffffffffff818116838216019081111561051157610511613cc6565b7f4e487b71000000000000000000000000000000000000000000000000000000005f52603260045260245ffd5b5f82357fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff61833603018112613c58575f5ffd5b6affffffffffffffffffffff828116828216039081111561051157610511613cc6565b6affffffffffffffffffffff818116838216019081111561051157610511613cc6565b5f60208284031215613e5b575f5ffd5b813560ff8116811461066d575f5ffd5b803563ffffffff81168114611f6a575f5ffd5b8281526060810173ffffffffffffffffffffffffffffffffffffffff613ea38461374b565b16602083015263ffffffff613eba60208501613e6b565b1660408301529392505050565b81515f90829060208501835b82811015613ef1578151845260209384019390910190600101613ed3565b509195945050505050565b5f5f83357fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe1843603018112613f2f575f5ffd5b83018035915067ffffffffffffffff821115613f49575f5ffd5b6020019150368190038213156139c8575f5ffd5b5f60208284031215613f6d575f5ffd5b61050e82613e6b565b808202811582820484141761051157610511613cc6565b5f82613fc0577f4e487b71000000000000000000000000000000000000000000000000000000005f52601260045260245ffd5b500490564f70656e285465726d73207465726d732c75696e7432353620616d6f756e742c75696e7432353620646561646c696e65295061796d656e74286164647265737320746f6b656e2c61646472657373207061796f75742c50617965655b5d207061796565732c61646472657373207369676e6572295465726d73285061796d656e74207061796d656e742c75696e743838206361702c75696e7434302077696e646f772c41677265656d656e742061677265656d656e742950617965652861646472657373206163636f756e742c75696e7433322073686172652941677265656d656e742861646472657373207075626c69736865722c62797465733332206170702c62797465733332207461726966662c627974657333322071756f74652c75696e743430206e6f746963652c627974657333322073616c74298b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f",
}

// Channels is an auto generated Go binding around an Ethereum contract.
type Channels struct {
	abi abi.ABI
}

// GetABI returns the ABI associated with this contract binding.
func (c *Channels) GetABI() abi.ABI {
	return c.abi
}

// NewChannels creates a new instance of Channels.
func NewChannels() *Channels {
	parsed, err := ChannelsMetaData.ParseABI()
	if err != nil {
		panic(errors.New("invalid ABI: " + err.Error()))
	}
	return &Channels{abi: *parsed}
}

// Instance creates a wrapper for a deployed contract instance at the given address.
// Use this to create the instance object passed to abigen v2 library functions Call, Transact, etc.
func (c *Channels) Instance(backend bind.ContractBackend, addr common.Address) *bind.BoundContract {
	return bind.NewBoundContract(addr, c.abi, backend, backend, backend)
}

// PackMAXNOTICE is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xa2e34278.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function MAX_NOTICE() view returns(uint256)
func (channels *Channels) PackMAXNOTICE() []byte {
	enc, err := channels.abi.Pack("MAX_NOTICE")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackMAXNOTICE is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xa2e34278.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function MAX_NOTICE() view returns(uint256)
func (channels *Channels) TryPackMAXNOTICE() ([]byte, error) {
	return channels.abi.Pack("MAX_NOTICE")
}

// UnpackMAXNOTICE is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xa2e34278.
//
// Solidity: function MAX_NOTICE() view returns(uint256)
func (channels *Channels) UnpackMAXNOTICE(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("MAX_NOTICE", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackMAXPAYEES is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5ecc86e8.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function MAX_PAYEES() view returns(uint256)
func (channels *Channels) PackMAXPAYEES() []byte {
	enc, err := channels.abi.Pack("MAX_PAYEES")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackMAXPAYEES is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5ecc86e8.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function MAX_PAYEES() view returns(uint256)
func (channels *Channels) TryPackMAXPAYEES() ([]byte, error) {
	return channels.abi.Pack("MAX_PAYEES")
}

// UnpackMAXPAYEES is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x5ecc86e8.
//
// Solidity: function MAX_PAYEES() view returns(uint256)
func (channels *Channels) UnpackMAXPAYEES(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("MAX_PAYEES", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackMINNOTICE is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xbcebe34b.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function MIN_NOTICE() view returns(uint256)
func (channels *Channels) PackMINNOTICE() []byte {
	enc, err := channels.abi.Pack("MIN_NOTICE")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackMINNOTICE is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xbcebe34b.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function MIN_NOTICE() view returns(uint256)
func (channels *Channels) TryPackMINNOTICE() ([]byte, error) {
	return channels.abi.Pack("MIN_NOTICE")
}

// UnpackMINNOTICE is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xbcebe34b.
//
// Solidity: function MIN_NOTICE() view returns(uint256)
func (channels *Channels) UnpackMINNOTICE(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("MIN_NOTICE", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackONE is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xc2ee3a08.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function ONE() view returns(uint256)
func (channels *Channels) PackONE() []byte {
	enc, err := channels.abi.Pack("ONE")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackONE is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xc2ee3a08.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function ONE() view returns(uint256)
func (channels *Channels) TryPackONE() ([]byte, error) {
	return channels.abi.Pack("ONE")
}

// UnpackONE is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xc2ee3a08.
//
// Solidity: function ONE() view returns(uint256)
func (channels *Channels) UnpackONE(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("ONE", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackChannelId is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5d560f53.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function channelId(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) view returns(bytes32)
func (channels *Channels) PackChannelId(terms Terms) []byte {
	enc, err := channels.abi.Pack("channelId", terms)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackChannelId is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5d560f53.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function channelId(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) view returns(bytes32)
func (channels *Channels) TryPackChannelId(terms Terms) ([]byte, error) {
	return channels.abi.Pack("channelId", terms)
}

// UnpackChannelId is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x5d560f53.
//
// Solidity: function channelId(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) view returns(bytes32)
func (channels *Channels) UnpackChannelId(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("channelId", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackClaim is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8272ee56.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function claim((address,address,(address,uint32)[],address) payment, (bytes32,uint88,uint40,uint256,bytes) item) returns(uint256 amount)
func (channels *Channels) PackClaim(payment Payment, item Claim) []byte {
	enc, err := channels.abi.Pack("claim", payment, item)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackClaim is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8272ee56.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function claim((address,address,(address,uint32)[],address) payment, (bytes32,uint88,uint40,uint256,bytes) item) returns(uint256 amount)
func (channels *Channels) TryPackClaim(payment Payment, item Claim) ([]byte, error) {
	return channels.abi.Pack("claim", payment, item)
}

// UnpackClaim is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x8272ee56.
//
// Solidity: function claim((address,address,(address,uint32)[],address) payment, (bytes32,uint88,uint40,uint256,bytes) item) returns(uint256 amount)
func (channels *Channels) UnpackClaim(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("claim", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackClaimBatch is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xf90ab0bf.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function claimBatch((address,address,(address,uint32)[],address) payment, (bytes32,uint88,uint40,uint256,bytes)[] items) returns(uint256[] amounts)
func (channels *Channels) PackClaimBatch(payment Payment, items []Claim) []byte {
	enc, err := channels.abi.Pack("claimBatch", payment, items)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackClaimBatch is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xf90ab0bf.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function claimBatch((address,address,(address,uint32)[],address) payment, (bytes32,uint88,uint40,uint256,bytes)[] items) returns(uint256[] amounts)
func (channels *Channels) TryPackClaimBatch(payment Payment, items []Claim) ([]byte, error) {
	return channels.abi.Pack("claimBatch", payment, items)
}

// UnpackClaimBatch is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xf90ab0bf.
//
// Solidity: function claimBatch((address,address,(address,uint32)[],address) payment, (bytes32,uint88,uint40,uint256,bytes)[] items) returns(uint256[] amounts)
func (channels *Channels) UnpackClaimBatch(data []byte) ([]*big.Int, error) {
	out, err := channels.abi.Unpack("claimBatch", data)
	if err != nil {
		return *new([]*big.Int), err
	}
	out0 := *abi.ConvertType(out[0], new([]*big.Int)).(*[]*big.Int)
	return out0, nil
}

// PackClaimable is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xa259665f.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function claimable(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 total) view returns(uint256 amount)
func (channels *Channels) PackClaimable(terms Terms, total *big.Int) []byte {
	enc, err := channels.abi.Pack("claimable", terms, total)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackClaimable is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xa259665f.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function claimable(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 total) view returns(uint256 amount)
func (channels *Channels) TryPackClaimable(terms Terms, total *big.Int) ([]byte, error) {
	return channels.abi.Pack("claimable", terms, total)
}

// UnpackClaimable is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xa259665f.
//
// Solidity: function claimable(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 total) view returns(uint256 amount)
func (channels *Channels) UnpackClaimable(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("claimable", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackClose is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x555f9a9f.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function close(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) returns()
func (channels *Channels) PackClose(terms Terms) []byte {
	enc, err := channels.abi.Pack("close", terms)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackClose is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x555f9a9f.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function close(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) returns()
func (channels *Channels) TryPackClose(terms Terms) ([]byte, error) {
	return channels.abi.Pack("close", terms)
}

// PackCredit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xcc1f0d2d.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function credit(address token, address account) view returns(uint256)
func (channels *Channels) PackCredit(token common.Address, account common.Address) []byte {
	enc, err := channels.abi.Pack("credit", token, account)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackCredit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xcc1f0d2d.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function credit(address token, address account) view returns(uint256)
func (channels *Channels) TryPackCredit(token common.Address, account common.Address) ([]byte, error) {
	return channels.abi.Pack("credit", token, account)
}

// UnpackCredit is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xcc1f0d2d.
//
// Solidity: function credit(address token, address account) view returns(uint256)
func (channels *Channels) UnpackCredit(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("credit", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// PackDeposit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x0abb050c.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function deposit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount) returns()
func (channels *Channels) PackDeposit(terms Terms, amount *big.Int) []byte {
	enc, err := channels.abi.Pack("deposit", terms, amount)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackDeposit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x0abb050c.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function deposit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount) returns()
func (channels *Channels) TryPackDeposit(terms Terms, amount *big.Int) ([]byte, error) {
	return channels.abi.Pack("deposit", terms, amount)
}

// PackDepositWithPermit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x621aec8a.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function depositWithPermit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, (uint256,uint8,bytes32,bytes32) permit) returns()
func (channels *Channels) PackDepositWithPermit(terms Terms, amount *big.Int, permit Permit) []byte {
	enc, err := channels.abi.Pack("depositWithPermit", terms, amount, permit)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackDepositWithPermit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x621aec8a.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function depositWithPermit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, (uint256,uint8,bytes32,bytes32) permit) returns()
func (channels *Channels) TryPackDepositWithPermit(terms Terms, amount *big.Int, permit Permit) ([]byte, error) {
	return channels.abi.Pack("depositWithPermit", terms, amount, permit)
}

// PackEip712Domain is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x84b0196e.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function eip712Domain() view returns(bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)
func (channels *Channels) PackEip712Domain() []byte {
	enc, err := channels.abi.Pack("eip712Domain")
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackEip712Domain is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x84b0196e.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function eip712Domain() view returns(bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)
func (channels *Channels) TryPackEip712Domain() ([]byte, error) {
	return channels.abi.Pack("eip712Domain")
}

// Eip712DomainOutput serves as a container for the return parameters of contract
// method Eip712Domain.
type Eip712DomainOutput struct {
	Fields            [1]byte
	Name              string
	Version           string
	ChainId           *big.Int
	VerifyingContract common.Address
	Salt              [32]byte
	Extensions        []*big.Int
}

// UnpackEip712Domain is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x84b0196e.
//
// Solidity: function eip712Domain() view returns(bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)
func (channels *Channels) UnpackEip712Domain(data []byte) (Eip712DomainOutput, error) {
	out, err := channels.abi.Unpack("eip712Domain", data)
	outstruct := new(Eip712DomainOutput)
	if err != nil {
		return *outstruct, err
	}
	outstruct.Fields = *abi.ConvertType(out[0], new([1]byte)).(*[1]byte)
	outstruct.Name = *abi.ConvertType(out[1], new(string)).(*string)
	outstruct.Version = *abi.ConvertType(out[2], new(string)).(*string)
	outstruct.ChainId = abi.ConvertType(out[3], new(big.Int)).(*big.Int)
	outstruct.VerifyingContract = *abi.ConvertType(out[4], new(common.Address)).(*common.Address)
	outstruct.Salt = *abi.ConvertType(out[5], new([32]byte)).(*[32]byte)
	outstruct.Extensions = *abi.ConvertType(out[6], new([]*big.Int)).(*[]*big.Int)
	return *outstruct, nil
}

// PackHashAgreement is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x1835d07c.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function hashAgreement((address,bytes32,bytes32,bytes32,uint40,bytes32) agreement) view returns(bytes32)
func (channels *Channels) PackHashAgreement(agreement Agreement) []byte {
	enc, err := channels.abi.Pack("hashAgreement", agreement)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackHashAgreement is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x1835d07c.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function hashAgreement((address,bytes32,bytes32,bytes32,uint40,bytes32) agreement) view returns(bytes32)
func (channels *Channels) TryPackHashAgreement(agreement Agreement) ([]byte, error) {
	return channels.abi.Pack("hashAgreement", agreement)
}

// UnpackHashAgreement is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x1835d07c.
//
// Solidity: function hashAgreement((address,bytes32,bytes32,bytes32,uint40,bytes32) agreement) view returns(bytes32)
func (channels *Channels) UnpackHashAgreement(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("hashAgreement", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackNotice is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xf7aafc26.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function notice(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) returns()
func (channels *Channels) PackNotice(terms Terms) []byte {
	enc, err := channels.abi.Pack("notice", terms)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackNotice is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xf7aafc26.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function notice(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) returns()
func (channels *Channels) TryPackNotice(terms Terms) ([]byte, error) {
	return channels.abi.Pack("notice", terms)
}

// PackOpen is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x30ea3105.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function open(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount) returns(bytes32 id)
func (channels *Channels) PackOpen(terms Terms, amount *big.Int) []byte {
	enc, err := channels.abi.Pack("open", terms, amount)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackOpen is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x30ea3105.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function open(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount) returns(bytes32 id)
func (channels *Channels) TryPackOpen(terms Terms, amount *big.Int) ([]byte, error) {
	return channels.abi.Pack("open", terms, amount)
}

// UnpackOpen is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x30ea3105.
//
// Solidity: function open(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount) returns(bytes32 id)
func (channels *Channels) UnpackOpen(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("open", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackOpenDigest is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x4e8c5241.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function openDigest(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, uint256 deadline) view returns(bytes32)
func (channels *Channels) PackOpenDigest(terms Terms, amount *big.Int, deadline *big.Int) []byte {
	enc, err := channels.abi.Pack("openDigest", terms, amount, deadline)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackOpenDigest is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x4e8c5241.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function openDigest(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, uint256 deadline) view returns(bytes32)
func (channels *Channels) TryPackOpenDigest(terms Terms, amount *big.Int, deadline *big.Int) ([]byte, error) {
	return channels.abi.Pack("openDigest", terms, amount, deadline)
}

// UnpackOpenDigest is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x4e8c5241.
//
// Solidity: function openDigest(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, uint256 deadline) view returns(bytes32)
func (channels *Channels) UnpackOpenDigest(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("openDigest", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackOpenFor is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xcedc7a08.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function openFor(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, uint256 deadline, bytes signature, (uint256,uint8,bytes32,bytes32) permit) returns(bytes32 id)
func (channels *Channels) PackOpenFor(terms Terms, amount *big.Int, deadline *big.Int, signature []byte, permit Permit) []byte {
	enc, err := channels.abi.Pack("openFor", terms, amount, deadline, signature, permit)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackOpenFor is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xcedc7a08.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function openFor(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, uint256 deadline, bytes signature, (uint256,uint8,bytes32,bytes32) permit) returns(bytes32 id)
func (channels *Channels) TryPackOpenFor(terms Terms, amount *big.Int, deadline *big.Int, signature []byte, permit Permit) ([]byte, error) {
	return channels.abi.Pack("openFor", terms, amount, deadline, signature, permit)
}

// UnpackOpenFor is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xcedc7a08.
//
// Solidity: function openFor(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, uint256 deadline, bytes signature, (uint256,uint8,bytes32,bytes32) permit) returns(bytes32 id)
func (channels *Channels) UnpackOpenFor(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("openFor", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackOpenWithPermit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8176a112.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function openWithPermit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, (uint256,uint8,bytes32,bytes32) permit) returns(bytes32 id)
func (channels *Channels) PackOpenWithPermit(terms Terms, amount *big.Int, permit Permit) []byte {
	enc, err := channels.abi.Pack("openWithPermit", terms, amount, permit)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackOpenWithPermit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x8176a112.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function openWithPermit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, (uint256,uint8,bytes32,bytes32) permit) returns(bytes32 id)
func (channels *Channels) TryPackOpenWithPermit(terms Terms, amount *big.Int, permit Permit) ([]byte, error) {
	return channels.abi.Pack("openWithPermit", terms, amount, permit)
}

// UnpackOpenWithPermit is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x8176a112.
//
// Solidity: function openWithPermit(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 amount, (uint256,uint8,bytes32,bytes32) permit) returns(bytes32 id)
func (channels *Channels) UnpackOpenWithPermit(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("openWithPermit", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackRelease is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xd1af54e0.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function release(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 total, bytes signature) returns()
func (channels *Channels) PackRelease(terms Terms, total *big.Int, signature []byte) []byte {
	enc, err := channels.abi.Pack("release", terms, total, signature)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackRelease is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xd1af54e0.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function release(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms, uint256 total, bytes signature) returns()
func (channels *Channels) TryPackRelease(terms Terms, total *big.Int, signature []byte) ([]byte, error) {
	return channels.abi.Pack("release", terms, total, signature)
}

// PackReleaseDigest is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x0513883c.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function releaseDigest(bytes32 id, uint256 total) view returns(bytes32)
func (channels *Channels) PackReleaseDigest(id [32]byte, total *big.Int) []byte {
	enc, err := channels.abi.Pack("releaseDigest", id, total)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackReleaseDigest is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x0513883c.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function releaseDigest(bytes32 id, uint256 total) view returns(bytes32)
func (channels *Channels) TryPackReleaseDigest(id [32]byte, total *big.Int) ([]byte, error) {
	return channels.abi.Pack("releaseDigest", id, total)
}

// UnpackReleaseDigest is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x0513883c.
//
// Solidity: function releaseDigest(bytes32 id, uint256 total) view returns(bytes32)
func (channels *Channels) UnpackReleaseDigest(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("releaseDigest", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackState is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x61d585da.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function state(bytes32 id) view returns((uint88,uint88,uint40,uint40))
func (channels *Channels) PackState(id [32]byte) []byte {
	enc, err := channels.abi.Pack("state", id)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackState is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x61d585da.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function state(bytes32 id) view returns((uint88,uint88,uint40,uint40))
func (channels *Channels) TryPackState(id [32]byte) ([]byte, error) {
	return channels.abi.Pack("state", id)
}

// UnpackState is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x61d585da.
//
// Solidity: function state(bytes32 id) view returns((uint88,uint88,uint40,uint40))
func (channels *Channels) UnpackState(data []byte) (State, error) {
	out, err := channels.abi.Unpack("state", data)
	if err != nil {
		return *new(State), err
	}
	out0 := *abi.ConvertType(out[0], new(State)).(*State)
	return out0, nil
}

// PackStatus is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x52ad0d5e.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function status(bytes32 id) view returns(uint8)
func (channels *Channels) PackStatus(id [32]byte) []byte {
	enc, err := channels.abi.Pack("status", id)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackStatus is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x52ad0d5e.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function status(bytes32 id) view returns(uint8)
func (channels *Channels) TryPackStatus(id [32]byte) ([]byte, error) {
	return channels.abi.Pack("status", id)
}

// UnpackStatus is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x52ad0d5e.
//
// Solidity: function status(bytes32 id) view returns(uint8)
func (channels *Channels) UnpackStatus(data []byte) (uint8, error) {
	out, err := channels.abi.Unpack("status", data)
	if err != nil {
		return *new(uint8), err
	}
	out0 := *abi.ConvertType(out[0], new(uint8)).(*uint8)
	return out0, nil
}

// PackVoucherDigest is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe55aee26.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function voucherDigest(bytes32 id, uint256 total) view returns(bytes32)
func (channels *Channels) PackVoucherDigest(id [32]byte, total *big.Int) []byte {
	enc, err := channels.abi.Pack("voucherDigest", id, total)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackVoucherDigest is the Go binding used to pack the parameters required for calling
// the contract method with ID 0xe55aee26.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function voucherDigest(bytes32 id, uint256 total) view returns(bytes32)
func (channels *Channels) TryPackVoucherDigest(id [32]byte, total *big.Int) ([]byte, error) {
	return channels.abi.Pack("voucherDigest", id, total)
}

// UnpackVoucherDigest is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0xe55aee26.
//
// Solidity: function voucherDigest(bytes32 id, uint256 total) view returns(bytes32)
func (channels *Channels) UnpackVoucherDigest(data []byte) ([32]byte, error) {
	out, err := channels.abi.Unpack("voucherDigest", data)
	if err != nil {
		return *new([32]byte), err
	}
	out0 := *abi.ConvertType(out[0], new([32]byte)).(*[32]byte)
	return out0, nil
}

// PackWithdraw is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x89a6d8af.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function withdraw(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) returns()
func (channels *Channels) PackWithdraw(terms Terms) []byte {
	enc, err := channels.abi.Pack("withdraw", terms)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackWithdraw is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x89a6d8af.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function withdraw(((address,address,(address,uint32)[],address),uint88,uint40,(address,bytes32,bytes32,bytes32,uint40,bytes32)) terms) returns()
func (channels *Channels) TryPackWithdraw(terms Terms) ([]byte, error) {
	return channels.abi.Pack("withdraw", terms)
}

// PackWithdrawCredit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5eb915ca.  This method will panic if any
// invalid/nil inputs are passed.
//
// Solidity: function withdrawCredit(address token, address to) returns(uint256 amount)
func (channels *Channels) PackWithdrawCredit(token common.Address, to common.Address) []byte {
	enc, err := channels.abi.Pack("withdrawCredit", token, to)
	if err != nil {
		panic(err)
	}
	return enc
}

// TryPackWithdrawCredit is the Go binding used to pack the parameters required for calling
// the contract method with ID 0x5eb915ca.  This method will return an error
// if any inputs are invalid/nil.
//
// Solidity: function withdrawCredit(address token, address to) returns(uint256 amount)
func (channels *Channels) TryPackWithdrawCredit(token common.Address, to common.Address) ([]byte, error) {
	return channels.abi.Pack("withdrawCredit", token, to)
}

// UnpackWithdrawCredit is the Go binding that unpacks the parameters returned
// from invoking the contract method with ID 0x5eb915ca.
//
// Solidity: function withdrawCredit(address token, address to) returns(uint256 amount)
func (channels *Channels) UnpackWithdrawCredit(data []byte) (*big.Int, error) {
	out, err := channels.abi.Unpack("withdrawCredit", data)
	if err != nil {
		return new(big.Int), err
	}
	out0 := abi.ConvertType(out[0], new(big.Int)).(*big.Int)
	return out0, nil
}

// ChannelsClaimSkipped represents a ClaimSkipped event raised by the Channels contract.
type ChannelsClaimSkipped struct {
	Id     [32]byte
	Reason [4]byte
	Raw    *types.Log // Blockchain specific contextual infos
}

const ChannelsClaimSkippedEventName = "ClaimSkipped"

// ContractEventName returns the user-defined event name.
func (ChannelsClaimSkipped) ContractEventName() string {
	return ChannelsClaimSkippedEventName
}

// UnpackClaimSkippedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event ClaimSkipped(bytes32 indexed id, bytes4 reason)
func (channels *Channels) UnpackClaimSkippedEvent(log *types.Log) (*ChannelsClaimSkipped, error) {
	event := "ClaimSkipped"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsClaimSkipped)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsClaimed represents a Claimed event raised by the Channels contract.
type ChannelsClaimed struct {
	Id      [32]byte
	Amount  *big.Int
	Claimed *big.Int
	Raw     *types.Log // Blockchain specific contextual infos
}

const ChannelsClaimedEventName = "Claimed"

// ContractEventName returns the user-defined event name.
func (ChannelsClaimed) ContractEventName() string {
	return ChannelsClaimedEventName
}

// UnpackClaimedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Claimed(bytes32 indexed id, uint256 amount, uint256 claimed)
func (channels *Channels) UnpackClaimedEvent(log *types.Log) (*ChannelsClaimed, error) {
	event := "Claimed"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsClaimed)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsClosed represents a Closed event raised by the Channels contract.
type ChannelsClosed struct {
	Id       [32]byte
	Claimed  *big.Int
	Refunded *big.Int
	Raw      *types.Log // Blockchain specific contextual infos
}

const ChannelsClosedEventName = "Closed"

// ContractEventName returns the user-defined event name.
func (ChannelsClosed) ContractEventName() string {
	return ChannelsClosedEventName
}

// UnpackClosedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Closed(bytes32 indexed id, uint256 claimed, uint256 refunded)
func (channels *Channels) UnpackClosedEvent(log *types.Log) (*ChannelsClosed, error) {
	event := "Closed"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsClosed)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsCreditWithdrawn represents a CreditWithdrawn event raised by the Channels contract.
type ChannelsCreditWithdrawn struct {
	Token   common.Address
	Account common.Address
	To      common.Address
	Amount  *big.Int
	Raw     *types.Log // Blockchain specific contextual infos
}

const ChannelsCreditWithdrawnEventName = "CreditWithdrawn"

// ContractEventName returns the user-defined event name.
func (ChannelsCreditWithdrawn) ContractEventName() string {
	return ChannelsCreditWithdrawnEventName
}

// UnpackCreditWithdrawnEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event CreditWithdrawn(address indexed token, address indexed account, address to, uint256 amount)
func (channels *Channels) UnpackCreditWithdrawnEvent(log *types.Log) (*ChannelsCreditWithdrawn, error) {
	event := "CreditWithdrawn"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsCreditWithdrawn)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsCredited represents a Credited event raised by the Channels contract.
type ChannelsCredited struct {
	Token   common.Address
	Account common.Address
	Amount  *big.Int
	Raw     *types.Log // Blockchain specific contextual infos
}

const ChannelsCreditedEventName = "Credited"

// ContractEventName returns the user-defined event name.
func (ChannelsCredited) ContractEventName() string {
	return ChannelsCreditedEventName
}

// UnpackCreditedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Credited(address indexed token, address indexed account, uint256 amount)
func (channels *Channels) UnpackCreditedEvent(log *types.Log) (*ChannelsCredited, error) {
	event := "Credited"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsCredited)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsDeposited represents a Deposited event raised by the Channels contract.
type ChannelsDeposited struct {
	Id     [32]byte
	From   common.Address
	Amount *big.Int
	Raw    *types.Log // Blockchain specific contextual infos
}

const ChannelsDepositedEventName = "Deposited"

// ContractEventName returns the user-defined event name.
func (ChannelsDeposited) ContractEventName() string {
	return ChannelsDepositedEventName
}

// UnpackDepositedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Deposited(bytes32 indexed id, address indexed from, uint256 amount)
func (channels *Channels) UnpackDepositedEvent(log *types.Log) (*ChannelsDeposited, error) {
	event := "Deposited"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsDeposited)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsEIP712DomainChanged represents a EIP712DomainChanged event raised by the Channels contract.
type ChannelsEIP712DomainChanged struct {
	Raw *types.Log // Blockchain specific contextual infos
}

const ChannelsEIP712DomainChangedEventName = "EIP712DomainChanged"

// ContractEventName returns the user-defined event name.
func (ChannelsEIP712DomainChanged) ContractEventName() string {
	return ChannelsEIP712DomainChangedEventName
}

// UnpackEIP712DomainChangedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event EIP712DomainChanged()
func (channels *Channels) UnpackEIP712DomainChangedEvent(log *types.Log) (*ChannelsEIP712DomainChanged, error) {
	event := "EIP712DomainChanged"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsEIP712DomainChanged)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsNoticeGiven represents a NoticeGiven event raised by the Channels contract.
type ChannelsNoticeGiven struct {
	Id        [32]byte
	NoticeEnd *big.Int
	Raw       *types.Log // Blockchain specific contextual infos
}

const ChannelsNoticeGivenEventName = "NoticeGiven"

// ContractEventName returns the user-defined event name.
func (ChannelsNoticeGiven) ContractEventName() string {
	return ChannelsNoticeGivenEventName
}

// UnpackNoticeGivenEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event NoticeGiven(bytes32 indexed id, uint256 noticeEnd)
func (channels *Channels) UnpackNoticeGivenEvent(log *types.Log) (*ChannelsNoticeGiven, error) {
	event := "NoticeGiven"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsNoticeGiven)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// ChannelsOpened represents a Opened event raised by the Channels contract.
type ChannelsOpened struct {
	Id        [32]byte
	Publisher common.Address
	Payout    common.Address
	Amount    *big.Int
	Raw       *types.Log // Blockchain specific contextual infos
}

const ChannelsOpenedEventName = "Opened"

// ContractEventName returns the user-defined event name.
func (ChannelsOpened) ContractEventName() string {
	return ChannelsOpenedEventName
}

// UnpackOpenedEvent is the Go binding that unpacks the event data emitted
// by contract.
//
// Solidity: event Opened(bytes32 indexed id, address indexed publisher, address indexed payout, uint256 amount)
func (channels *Channels) UnpackOpenedEvent(log *types.Log) (*ChannelsOpened, error) {
	event := "Opened"
	if len(log.Topics) == 0 {
		return nil, bind.ErrNoEventSignature
	}
	if log.Topics[0] != channels.abi.Events[event].ID {
		return nil, bind.ErrEventSignatureMismatch
	}
	out := new(ChannelsOpened)
	if len(log.Data) > 0 {
		if err := channels.abi.UnpackIntoInterface(out, event, log.Data); err != nil {
			return nil, err
		}
	}
	var indexed abi.Arguments
	for _, arg := range channels.abi.Events[event].Inputs {
		if arg.Indexed {
			indexed = append(indexed, arg)
		}
	}
	if err := abi.ParseTopics(out, indexed, log.Topics[1:]); err != nil {
		return nil, err
	}
	out.Raw = log
	return out, nil
}

// UnpackError attempts to decode the provided error data using user-defined
// error definitions.
func (channels *Channels) UnpackError(raw []byte) (any, error) {
	if bytes.Equal(raw[:4], channels.abi.Errors["AlreadyClosed"].ID.Bytes()[:4]) {
		return channels.UnpackAlreadyClosedError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["AlreadyNoticed"].ID.Bytes()[:4]) {
		return channels.UnpackAlreadyNoticedError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["AlreadyOpened"].ID.Bytes()[:4]) {
		return channels.UnpackAlreadyOpenedError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["AmountTooLarge"].ID.Bytes()[:4]) {
		return channels.UnpackAmountTooLargeError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["BadShares"].ID.Bytes()[:4]) {
		return channels.UnpackBadSharesError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["BadSignature"].ID.Bytes()[:4]) {
		return channels.UnpackBadSignatureError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["Expired"].ID.Bytes()[:4]) {
		return channels.UnpackExpiredError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["InvalidShortString"].ID.Bytes()[:4]) {
		return channels.UnpackInvalidShortStringError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NoCredit"].ID.Bytes()[:4]) {
		return channels.UnpackNoCreditError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NotOpened"].ID.Bytes()[:4]) {
		return channels.UnpackNotOpenedError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NotPayout"].ID.Bytes()[:4]) {
		return channels.UnpackNotPayoutError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NotPublisher"].ID.Bytes()[:4]) {
		return channels.UnpackNotPublisherError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NothingToClaim"].ID.Bytes()[:4]) {
		return channels.UnpackNothingToClaimError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NoticeEnded"].ID.Bytes()[:4]) {
		return channels.UnpackNoticeEndedError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NoticeNotEnded"].ID.Bytes()[:4]) {
		return channels.UnpackNoticeNotEndedError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["NoticeOutOfBounds"].ID.Bytes()[:4]) {
		return channels.UnpackNoticeOutOfBoundsError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["ReentrancyGuardReentrantCall"].ID.Bytes()[:4]) {
		return channels.UnpackReentrancyGuardReentrantCallError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["SafeERC20FailedOperation"].ID.Bytes()[:4]) {
		return channels.UnpackSafeERC20FailedOperationError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["StringTooLong"].ID.Bytes()[:4]) {
		return channels.UnpackStringTooLongError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["ZeroAddress"].ID.Bytes()[:4]) {
		return channels.UnpackZeroAddressError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["ZeroAmount"].ID.Bytes()[:4]) {
		return channels.UnpackZeroAmountError(raw[4:])
	}
	if bytes.Equal(raw[:4], channels.abi.Errors["ZeroRate"].ID.Bytes()[:4]) {
		return channels.UnpackZeroRateError(raw[4:])
	}
	return nil, errors.New("Unknown error")
}

// ChannelsAlreadyClosed represents a AlreadyClosed error raised by the Channels contract.
type ChannelsAlreadyClosed struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error AlreadyClosed()
func ChannelsAlreadyClosedErrorID() common.Hash {
	return common.HexToHash("0x9acb7e52025734411637cf587957c417e64426de11b20c8ea551919ba349a7b5")
}

// UnpackAlreadyClosedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error AlreadyClosed()
func (channels *Channels) UnpackAlreadyClosedError(raw []byte) (*ChannelsAlreadyClosed, error) {
	out := new(ChannelsAlreadyClosed)
	if err := channels.abi.UnpackIntoInterface(out, "AlreadyClosed", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsAlreadyNoticed represents a AlreadyNoticed error raised by the Channels contract.
type ChannelsAlreadyNoticed struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error AlreadyNoticed()
func ChannelsAlreadyNoticedErrorID() common.Hash {
	return common.HexToHash("0x25d5769d35f43136e6fe67b404a4ae993f3d39ec61e54dea9e7d0e9ab58c110c")
}

// UnpackAlreadyNoticedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error AlreadyNoticed()
func (channels *Channels) UnpackAlreadyNoticedError(raw []byte) (*ChannelsAlreadyNoticed, error) {
	out := new(ChannelsAlreadyNoticed)
	if err := channels.abi.UnpackIntoInterface(out, "AlreadyNoticed", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsAlreadyOpened represents a AlreadyOpened error raised by the Channels contract.
type ChannelsAlreadyOpened struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error AlreadyOpened()
func ChannelsAlreadyOpenedErrorID() common.Hash {
	return common.HexToHash("0x1da42b26e004cf8c2b6fb52a3019cbf27665f0c7fe24e1a58c8d871b2d758e29")
}

// UnpackAlreadyOpenedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error AlreadyOpened()
func (channels *Channels) UnpackAlreadyOpenedError(raw []byte) (*ChannelsAlreadyOpened, error) {
	out := new(ChannelsAlreadyOpened)
	if err := channels.abi.UnpackIntoInterface(out, "AlreadyOpened", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsAmountTooLarge represents a AmountTooLarge error raised by the Channels contract.
type ChannelsAmountTooLarge struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error AmountTooLarge()
func ChannelsAmountTooLargeErrorID() common.Hash {
	return common.HexToHash("0x06250401c072295744520da9e60a3a29ab28ceb9fda5d792222d5242d22e8a44")
}

// UnpackAmountTooLargeError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error AmountTooLarge()
func (channels *Channels) UnpackAmountTooLargeError(raw []byte) (*ChannelsAmountTooLarge, error) {
	out := new(ChannelsAmountTooLarge)
	if err := channels.abi.UnpackIntoInterface(out, "AmountTooLarge", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsBadShares represents a BadShares error raised by the Channels contract.
type ChannelsBadShares struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error BadShares()
func ChannelsBadSharesErrorID() common.Hash {
	return common.HexToHash("0x7eb017063ceb659447192835b49b1c95af80502024cfc97f77dc2bc84c716c6e")
}

// UnpackBadSharesError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error BadShares()
func (channels *Channels) UnpackBadSharesError(raw []byte) (*ChannelsBadShares, error) {
	out := new(ChannelsBadShares)
	if err := channels.abi.UnpackIntoInterface(out, "BadShares", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsBadSignature represents a BadSignature error raised by the Channels contract.
type ChannelsBadSignature struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error BadSignature()
func ChannelsBadSignatureErrorID() common.Hash {
	return common.HexToHash("0x5cd5d2335541c4f2ed05fbe44f397e8b79f8e2333157122d2dab06e378ef7685")
}

// UnpackBadSignatureError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error BadSignature()
func (channels *Channels) UnpackBadSignatureError(raw []byte) (*ChannelsBadSignature, error) {
	out := new(ChannelsBadSignature)
	if err := channels.abi.UnpackIntoInterface(out, "BadSignature", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsExpired represents a Expired error raised by the Channels contract.
type ChannelsExpired struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error Expired()
func ChannelsExpiredErrorID() common.Hash {
	return common.HexToHash("0x203d82d8d99f63bfecc8335216735e0271df4249ea752b030f9ab305b94e5afe")
}

// UnpackExpiredError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error Expired()
func (channels *Channels) UnpackExpiredError(raw []byte) (*ChannelsExpired, error) {
	out := new(ChannelsExpired)
	if err := channels.abi.UnpackIntoInterface(out, "Expired", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsInvalidShortString represents a InvalidShortString error raised by the Channels contract.
type ChannelsInvalidShortString struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error InvalidShortString()
func ChannelsInvalidShortStringErrorID() common.Hash {
	return common.HexToHash("0xb3512b0c6163e5f0bafab72bb631b9d58cd7a731b082f910338aa21c83d5c274")
}

// UnpackInvalidShortStringError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error InvalidShortString()
func (channels *Channels) UnpackInvalidShortStringError(raw []byte) (*ChannelsInvalidShortString, error) {
	out := new(ChannelsInvalidShortString)
	if err := channels.abi.UnpackIntoInterface(out, "InvalidShortString", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNoCredit represents a NoCredit error raised by the Channels contract.
type ChannelsNoCredit struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NoCredit()
func ChannelsNoCreditErrorID() common.Hash {
	return common.HexToHash("0x315b0e1402b8fce06679c02718edf3900dbdfeacb28a5cb9eb16ee5bf9256e16")
}

// UnpackNoCreditError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NoCredit()
func (channels *Channels) UnpackNoCreditError(raw []byte) (*ChannelsNoCredit, error) {
	out := new(ChannelsNoCredit)
	if err := channels.abi.UnpackIntoInterface(out, "NoCredit", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNotOpened represents a NotOpened error raised by the Channels contract.
type ChannelsNotOpened struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotOpened()
func ChannelsNotOpenedErrorID() common.Hash {
	return common.HexToHash("0x6d36408affd8571b32fad95e2382a6a40b2154ae46d760ee141ed0e33d0f6a98")
}

// UnpackNotOpenedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotOpened()
func (channels *Channels) UnpackNotOpenedError(raw []byte) (*ChannelsNotOpened, error) {
	out := new(ChannelsNotOpened)
	if err := channels.abi.UnpackIntoInterface(out, "NotOpened", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNotPayout represents a NotPayout error raised by the Channels contract.
type ChannelsNotPayout struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotPayout()
func ChannelsNotPayoutErrorID() common.Hash {
	return common.HexToHash("0x657f855885b29b4ef7ed25d705307384fc952aa596d748062b004a790cd18732")
}

// UnpackNotPayoutError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotPayout()
func (channels *Channels) UnpackNotPayoutError(raw []byte) (*ChannelsNotPayout, error) {
	out := new(ChannelsNotPayout)
	if err := channels.abi.UnpackIntoInterface(out, "NotPayout", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNotPublisher represents a NotPublisher error raised by the Channels contract.
type ChannelsNotPublisher struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NotPublisher()
func ChannelsNotPublisherErrorID() common.Hash {
	return common.HexToHash("0x6cc8883ab475c43559283543618b3853c17caef01cd6b37027cde787f60ba6e6")
}

// UnpackNotPublisherError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NotPublisher()
func (channels *Channels) UnpackNotPublisherError(raw []byte) (*ChannelsNotPublisher, error) {
	out := new(ChannelsNotPublisher)
	if err := channels.abi.UnpackIntoInterface(out, "NotPublisher", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNothingToClaim represents a NothingToClaim error raised by the Channels contract.
type ChannelsNothingToClaim struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NothingToClaim()
func ChannelsNothingToClaimErrorID() common.Hash {
	return common.HexToHash("0x969bf7288f744225521096ebffff657851af77dd4c63700d76b8d1cf6481d1f1")
}

// UnpackNothingToClaimError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NothingToClaim()
func (channels *Channels) UnpackNothingToClaimError(raw []byte) (*ChannelsNothingToClaim, error) {
	out := new(ChannelsNothingToClaim)
	if err := channels.abi.UnpackIntoInterface(out, "NothingToClaim", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNoticeEnded represents a NoticeEnded error raised by the Channels contract.
type ChannelsNoticeEnded struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NoticeEnded()
func ChannelsNoticeEndedErrorID() common.Hash {
	return common.HexToHash("0x47c3bde9df4297a891b64063dc37a630b14b5b713b3ad7c945783da4b0775451")
}

// UnpackNoticeEndedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NoticeEnded()
func (channels *Channels) UnpackNoticeEndedError(raw []byte) (*ChannelsNoticeEnded, error) {
	out := new(ChannelsNoticeEnded)
	if err := channels.abi.UnpackIntoInterface(out, "NoticeEnded", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNoticeNotEnded represents a NoticeNotEnded error raised by the Channels contract.
type ChannelsNoticeNotEnded struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NoticeNotEnded()
func ChannelsNoticeNotEndedErrorID() common.Hash {
	return common.HexToHash("0xfed8a2d4a35c0cc0cecf9d192e8e2239cc1aa8d88405004ba7bfc6151fe7b504")
}

// UnpackNoticeNotEndedError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NoticeNotEnded()
func (channels *Channels) UnpackNoticeNotEndedError(raw []byte) (*ChannelsNoticeNotEnded, error) {
	out := new(ChannelsNoticeNotEnded)
	if err := channels.abi.UnpackIntoInterface(out, "NoticeNotEnded", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsNoticeOutOfBounds represents a NoticeOutOfBounds error raised by the Channels contract.
type ChannelsNoticeOutOfBounds struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error NoticeOutOfBounds()
func ChannelsNoticeOutOfBoundsErrorID() common.Hash {
	return common.HexToHash("0xd190def3de704fca8de1fffac2443af6ef96ddc5d9020a4ecebf7295bb4782b6")
}

// UnpackNoticeOutOfBoundsError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error NoticeOutOfBounds()
func (channels *Channels) UnpackNoticeOutOfBoundsError(raw []byte) (*ChannelsNoticeOutOfBounds, error) {
	out := new(ChannelsNoticeOutOfBounds)
	if err := channels.abi.UnpackIntoInterface(out, "NoticeOutOfBounds", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsReentrancyGuardReentrantCall represents a ReentrancyGuardReentrantCall error raised by the Channels contract.
type ChannelsReentrancyGuardReentrantCall struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ReentrancyGuardReentrantCall()
func ChannelsReentrancyGuardReentrantCallErrorID() common.Hash {
	return common.HexToHash("0x3ee5aeb571de7fc460830b4d0017439a1ca56fb0bc39062227ade4fe4a24c1ca")
}

// UnpackReentrancyGuardReentrantCallError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ReentrancyGuardReentrantCall()
func (channels *Channels) UnpackReentrancyGuardReentrantCallError(raw []byte) (*ChannelsReentrancyGuardReentrantCall, error) {
	out := new(ChannelsReentrancyGuardReentrantCall)
	if err := channels.abi.UnpackIntoInterface(out, "ReentrancyGuardReentrantCall", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsSafeERC20FailedOperation represents a SafeERC20FailedOperation error raised by the Channels contract.
type ChannelsSafeERC20FailedOperation struct {
	Token common.Address
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error SafeERC20FailedOperation(address token)
func ChannelsSafeERC20FailedOperationErrorID() common.Hash {
	return common.HexToHash("0x5274afe73c98b4749fc91ffae6b7b574e7842cb2144a159e9377a5f20b32edf9")
}

// UnpackSafeERC20FailedOperationError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error SafeERC20FailedOperation(address token)
func (channels *Channels) UnpackSafeERC20FailedOperationError(raw []byte) (*ChannelsSafeERC20FailedOperation, error) {
	out := new(ChannelsSafeERC20FailedOperation)
	if err := channels.abi.UnpackIntoInterface(out, "SafeERC20FailedOperation", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsStringTooLong represents a StringTooLong error raised by the Channels contract.
type ChannelsStringTooLong struct {
	Str string
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error StringTooLong(string str)
func ChannelsStringTooLongErrorID() common.Hash {
	return common.HexToHash("0x305a27a93f8e33b7392df0a0f91d6fc63847395853c45991eec52dbf24d72381")
}

// UnpackStringTooLongError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error StringTooLong(string str)
func (channels *Channels) UnpackStringTooLongError(raw []byte) (*ChannelsStringTooLong, error) {
	out := new(ChannelsStringTooLong)
	if err := channels.abi.UnpackIntoInterface(out, "StringTooLong", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsZeroAddress represents a ZeroAddress error raised by the Channels contract.
type ChannelsZeroAddress struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ZeroAddress()
func ChannelsZeroAddressErrorID() common.Hash {
	return common.HexToHash("0xd92e233df2717d4a40030e20904abd27b68fcbeede117eaaccbbdac9618c8c73")
}

// UnpackZeroAddressError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ZeroAddress()
func (channels *Channels) UnpackZeroAddressError(raw []byte) (*ChannelsZeroAddress, error) {
	out := new(ChannelsZeroAddress)
	if err := channels.abi.UnpackIntoInterface(out, "ZeroAddress", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsZeroAmount represents a ZeroAmount error raised by the Channels contract.
type ChannelsZeroAmount struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ZeroAmount()
func ChannelsZeroAmountErrorID() common.Hash {
	return common.HexToHash("0x1f2a2005cb66a8e145327e8814e243a0996aec9bfe1e15a495778b1236dbd485")
}

// UnpackZeroAmountError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ZeroAmount()
func (channels *Channels) UnpackZeroAmountError(raw []byte) (*ChannelsZeroAmount, error) {
	out := new(ChannelsZeroAmount)
	if err := channels.abi.UnpackIntoInterface(out, "ZeroAmount", raw); err != nil {
		return nil, err
	}
	return out, nil
}

// ChannelsZeroRate represents a ZeroRate error raised by the Channels contract.
type ChannelsZeroRate struct {
}

// ErrorID returns the hash of canonical representation of the error's signature.
//
// Solidity: error ZeroRate()
func ChannelsZeroRateErrorID() common.Hash {
	return common.HexToHash("0x299dcf9a41f9ddc694b85732ce6cab64bc65574aaae963d596ad33ee427e900d")
}

// UnpackZeroRateError is the Go binding used to decode the provided
// error data into the corresponding Go error struct.
//
// Solidity: error ZeroRate()
func (channels *Channels) UnpackZeroRateError(raw []byte) (*ChannelsZeroRate, error) {
	out := new(ChannelsZeroRate)
	if err := channels.abi.UnpackIntoInterface(out, "ZeroRate", raw); err != nil {
		return nil, err
	}
	return out, nil
}
