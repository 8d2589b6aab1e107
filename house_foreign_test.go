// SPDX-License-Identifier: Apache-2.0

package apocryph_test

import (
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// decoders are the functions that read bytes which came from somewhere else, by the package that they are imported from.
var decoders = map[string][]string{
	"encoding/json":                                     {"Unmarshal", "NewDecoder"},
	"encoding/hex":                                      {"DecodeString", "Decode"},
	"encoding/pem":                                      {"Decode"},
	"crypto/x509":                                       {"ParseCertificate", "ParsePKCS8PrivateKey"},
	"mime":                                              {"ParseMediaType"},
	"google.golang.org/protobuf/proto":                  {"Unmarshal"},
	"go.yaml.in/yaml/v4":                                {"NewDecoder", "Unmarshal"},
	"sigs.k8s.io/yaml":                                  {"Unmarshal"},
	"github.com/multiformats/go-multiaddr":              {"NewMultiaddr"},
	"github.com/libp2p/go-libp2p/core/crypto":           {"UnmarshalPrivateKey"},
	"github.com/libp2p/go-libp2p/core/peer":             {"Decode", "IDFromBytes"},
	"github.com/google/go-sev-guest/abi":                {"ReportToProto"},
	"github.com/ethereum/go-ethereum/crypto":            {"SigToPub"},
	module + "/internal/manifest":                       {"Decode"},
	"github.com/google/go-containerregistry/pkg/name":   {"ParseReference"},
	"github.com/ethereum/go-ethereum/accounts/keystore": {"DecryptKey"},
	"github.com/fxamacker/cbor/v2":                      {"Unmarshal", "DecOptions"},
}

// notForeign are the packages that call one of them and need no fuzz target, each with its reason.
var notForeign = map[string]string{
	"internal/doctor": "reads what the provider's own services answer",
	"cmd/apocryphd":   "reads what its operator typed",
}

// Whoever reads foreign bytes has a fuzz target.
func TestForeignBytesAreFuzzed(t *testing.T) {
	reads, fuzzed := map[string]string{}, map[string]bool{}
	goFiles(t, func(name string, f *ast.File, set *token.FileSet) {
		dir := path.Dir(name)
		if strings.HasSuffix(name, "_test.go") {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(fn.Name.Name, "Fuzz") {
					fuzzed[dir] = true
				}
			}
			return
		}
		if !strings.HasPrefix(dir, "internal/") && !strings.HasPrefix(dir, "cmd/") || strings.HasPrefix(dir, "internal/gen") || strings.HasSuffix(dir, "test") {
			return
		}
		imports := map[string][]string{}
		for _, i := range f.Imports {
			from := strings.Trim(i.Path.Value, `"`)
			as := strings.TrimPrefix(path.Base(from), "go-")
			if m := regexp.MustCompile(`^v\d+$`); m.MatchString(as) {
				as = path.Base(path.Dir(from))
			}
			if i.Name != nil {
				as = i.Name.Name
			}
			imports[as] = decoders[from]
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if p, ok := s.X.(*ast.Ident); ok && slices.Contains(imports[p.Name], s.Sel.Name) {
				reads[dir] = set.Position(s.Pos()).String()
			}
			return true
		})
	})
	if len(reads) < 10 {
		t.Fatalf("found only %d packages that read foreign bytes: %v", len(reads), reads)
	}
	for _, dir := range slices.Sorted(maps.Keys(reads)) {
		if why := notForeign[dir]; why == "" && !fuzzed[dir] {
			t.Errorf("%s: %s has no fuzz target", reads[dir], dir)
		} else if why != "" && fuzzed[dir] {
			t.Errorf("%s has a fuzz target and is excused from one", dir)
		}
	}
}
