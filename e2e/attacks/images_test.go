// SPDX-License-Identifier: Apache-2.0

package attacks

import (
	"archive/tar"
	"os"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/apocryph/apocryph/e2e/bed"
)

const (
	attackerImage = "attacks.test/attacker:1"
	victimImage   = "attacks.test/victim:1"
	// secret is in the victim's image; escaped is a name that the attacker's layers write wherever they can.
	secret  = "only the victim's image has this"
	escaped = "apocryph-escaped"
)

// images are what the two apps run.
type images struct{ attacker, victim v1.Image }

func (i images) byName() map[string]v1.Image {
	return map[string]v1.Image{attackerImage: i.attacker, victimImage: i.victim}
}

func makeImages(t *testing.T) images {
	t.Helper()
	return images{
		attacker: bed.Image(t, tricks(t)),
		victim:   bed.Image(t, bed.Layer(t, file("secret", secret))),
	}
}

func file(name, content string) bed.Entry {
	return bed.Entry{Header: tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg}, Content: []byte(content)}
}

// tricks is a layer that tries to reach out of the image when it is unpacked.
func tricks(t *testing.T) v1.Layer {
	t.Helper()
	var root unix.Stat_t
	if err := unix.Stat("/", &root); err != nil {
		t.Fatal(err)
	}
	major, minor := int64(unix.Major(root.Dev)), int64(unix.Minor(root.Dev))
	probe, err := os.ReadFile(bed.BuildProgram(t))
	if err != nil {
		t.Fatal(err)
	}
	link := func(name, to string, kind byte) bed.Entry {
		return bed.Entry{Header: tar.Header{Name: name, Linkname: to, Mode: 0o777, Typeflag: kind}}
	}
	node := func(name string, kind byte, major, minor int64) bed.Entry {
		return bed.Entry{Header: tar.Header{Name: name, Mode: 0o666, Typeflag: kind, Devmajor: major, Devminor: minor}}
	}
	return bed.Layer(t,
		file("../../../../../../../../"+escaped+"-1", "x"),
		file("/"+escaped+"-2", "x"),
		link("out", "/", tar.TypeSymlink),
		file("out/"+escaped+"-3", "x"),
		link("up", "../../../../../../../..", tar.TypeSymlink),
		file("up/"+escaped+"-4", "x"),
		file("etc/debian_version", "inside"),
		link("hard", "../../../../../../../../etc/debian_version", tar.TypeLink),
		link("soft", "/etc/debian_version", tar.TypeSymlink),
		node("disk", tar.TypeBlock, major, minor),
		node("mem", tar.TypeChar, 1, 1),
		node("null", tar.TypeChar, 1, 3),
		bed.Entry{Header: tar.Header{Name: "setuid", Mode: 0o4755, Typeflag: tar.TypeReg}, Content: probe},
		bed.Entry{
			// CAP_NET_RAW, permitted and effective, as the file system keeps it.
			Header: tar.Header{
				Name: "capable", Mode: 0o755, Typeflag: tar.TypeReg, Format: tar.FormatPAX,
				PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
			},
			Content: probe,
		},
	)
}
