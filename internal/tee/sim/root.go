// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-sev-guest/abi"
	"github.com/google/go-sev-guest/kds"

	"github.com/apocryph/apocryph/internal/evidence"
)

const (
	productLine = "Milan"
	productName = "Milan-B1"
	rsaBits     = 4096
	caLife      = 25 * 365 * 24 * time.Hour
	vcekLife    = 7 * 365 * 24 * time.Hour
)

// NewRoot makes fresh keys and certificates in the form of AMD's (ARK, ASK, VCEK) and writes them to dir, which is made if need be,
// with the measurement that the simulated chip will report, and opens it. Existing files are an error: a root is made once. The keys of ARK and ASK
// are forgotten, so the root vouches for this one chip only.
func NewRoot(dir string, measurement [evidence.MeasurementSize]byte, now time.Time) (*Device, error) {
	chain, err := newChain(now)
	if err != nil {
		return nil, fmt.Errorf("making simulator's root: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(chain.key)
	if err != nil {
		return nil, fmt.Errorf("making simulator's root: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("writing simulator's root: %w", err)
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{fileMeasurement, []byte(hex.EncodeToString(measurement[:]) + "\n")},
		{fileKey, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
		{fileVCEK, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain.vcek})},
		{fileASK, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain.ask})},
		{fileARK, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: chain.ark})},
	} {
		if err := writeNew(filepath.Join(dir, f.name), f.content); err != nil {
			return nil, fmt.Errorf("writing simulator's root: %w", err)
		}
	}
	return Open(dir)
}

func writeNew(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

type chain struct {
	ark, ask, vcek []byte
	key            *ecdsa.PrivateKey
}

func newChain(now time.Time) (chain, error) {
	keys, err := rsaKeys(2)
	if err != nil {
		return chain{}, err
	}
	ark, err := certify(authority("ARK-"+productLine, "ARK", now), nil, keys[0].Public(), keys[0])
	if err != nil {
		return chain{}, fmt.Errorf("ARK: %w", err)
	}
	ask, err := certify(authority("SEV-"+productLine, "ASK", now), ark, keys[1].Public(), keys[0])
	if err != nil {
		return chain{}, fmt.Errorf("ASK: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return chain{}, err
	}
	extensions, err := chipExtensions()
	if err != nil {
		return chain{}, err
	}
	vcek, err := certify(&x509.Certificate{
		SerialNumber:       new(big.Int),
		Subject:            amdName("SEV-VCEK"),
		NotBefore:          now.Add(-time.Hour),
		NotAfter:           now.Add(vcekLife),
		SignatureAlgorithm: x509.SHA384WithRSAPSS,
		ExtraExtensions:    extensions,
	}, ask, key.Public(), keys[1])
	if err != nil {
		return chain{}, fmt.Errorf("VCEK: %w", err)
	}
	return chain{ark: ark.Raw, ask: ask.Raw, vcek: vcek.Raw, key: key}, nil
}

// rsaKeys makes n keys at the same time: each takes seconds.
func rsaKeys(n int) ([]*rsa.PrivateKey, error) {
	keys, errs := make([]*rsa.PrivateKey, n), make([]error, n)
	done := make(chan struct{})
	for i := range n {
		go func() {
			keys[i], errs[i] = rsa.GenerateKey(rand.Reader, rsaBits)
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
	return keys, errors.Join(errs...)
}

func certify(template, parent *x509.Certificate, pub crypto.PublicKey, signer crypto.Signer) (*x509.Certificate, error) {
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func authority(name, role string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(0x10000),
		Subject:               amdName(name),
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(caLife),
		SignatureAlgorithm:    x509.SHA384WithRSAPSS,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		CRLDistributionPoints: []string{kds.CrlLinkByRole(productLine, role)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
}

// amdName is the only form of name that verifiers of this format accept; what tells a development root is its key.
func amdName(commonName string) pkix.Name {
	return pkix.Name{
		Organization:       []string{"Advanced Micro Devices"},
		OrganizationalUnit: []string{"Engineering"},
		Country:            []string{"US"},
		Locality:           []string{"Santa Clara"},
		Province:           []string{"CA"},
		CommonName:         commonName,
	}
}

// chipExtensions are those of AMD's key distribution service: which chip, with which firmware.
func chipExtensions() ([]pkix.Extension, error) {
	hwid := make([]byte, abi.ChipIDSize)
	if _, err := rand.Read(hwid); err != nil {
		return nil, err
	}
	product, err := asn1.MarshalWithParams(productName, "ia5")
	if err != nil {
		return nil, err
	}
	parts := kds.DecomposeTCBVersion(kds.TCBVersion(tcb))
	all := []pkix.Extension{{Id: kds.OidProductName1, Value: product}, {Id: kds.OidHwid, Value: hwid}}
	for _, e := range []struct {
		id    asn1.ObjectIdentifier
		value uint8
	}{
		{kds.OidStructVersion, 1},
		{kds.OidBlSpl, parts.BlSpl},
		{kds.OidTeeSpl, parts.TeeSpl},
		{kds.OidSnpSpl, parts.SnpSpl},
		{kds.OidSpl4, parts.Spl4},
		{kds.OidSpl5, parts.Spl5},
		{kds.OidSpl6, parts.Spl6},
		{kds.OidSpl7, parts.Spl7},
		{kds.OidUcodeSpl, parts.UcodeSpl},
	} {
		value, err := asn1.Marshal(int(e.value))
		if err != nil {
			return nil, err
		}
		all = append(all, pkix.Extension{Id: e.id, Value: value})
	}
	return all, nil
}
