// SPDX-License-Identifier: Apache-2.0

// Command bindings turns forge's artifacts into what the rest of the repository uses: the ABI and bytecode
// of each contract below contracts/abi, and a Go package below internal/gen. It is run by contracts/generate.sh
// from the root of the repository.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ethereum/go-ethereum/accounts/abi/abigen"
)

func main() {
	contracts := map[string]string{ // contract → Go package; none for those that only tests deploy
		"Channels":  "channels",
		"TestToken": "token",
		"OddToken":  "",
		"OddWallet": "",
	}
	for contract, pkg := range contracts {
		if err := generate(contract, pkg); err != nil {
			fmt.Fprintf(os.Stderr, "bindings: %s: %v\n", contract, err)
			os.Exit(1) //nolint:forbidigo // this is main
		}
	}
}

// generate writes the ABI, the bytecode and the Go package of one contract.
func generate(contract, pkg string) error {
	raw, err := os.ReadFile(filepath.Join("contracts", "out", contract+".sol", contract+".json"))
	if err != nil {
		return err
	}
	var artifact struct {
		ABI      json.RawMessage `json:"abi"`
		Bytecode struct {
			Object string `json:"object"`
		} `json:"bytecode"`
	}
	if err := json.Unmarshal(raw, &artifact); err != nil {
		return err
	}

	var abi bytes.Buffer
	if err := json.Indent(&abi, artifact.ABI, "", "  "); err != nil {
		return err
	}
	abi.WriteByte('\n')
	code := strings.TrimPrefix(artifact.Bytecode.Object, "0x")
	files := map[string]string{
		filepath.Join("contracts", "abi", contract+".json"): abi.String(),
		filepath.Join("contracts", "abi", contract+".bin"):  code + "\n",
	}
	if pkg != "" {
		source, err := abigen.BindV2([]string{contract}, []string{abi.String()}, []string{code}, pkg, nil, nil)
		if err != nil {
			return err
		}
		files[filepath.Join("internal", "gen", pkg, pkg+".gen.go")] = "// SPDX-License-Identifier: Apache-2.0\n\n" + source
	}
	for path, content := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}
