// SPDX-License-Identifier: Apache-2.0

package logstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"
)

// A segment is a sequence of frames; a frame is its length, a checksum, and records that are there all together or not at all:
//
//	0x01 run       index, restart, pod
//	0x02 line      index, flags, nanoseconds since the line before it in the frame, text
//	0x03 position  index, inode, offset: how far the run's file is in the store with this frame
//
// Numbers are varints, byte strings have their length before them. A segment defines the runs that its other records name, so each can be
// read alone; and its first frame has the positions of all runs whose files are still there, so that positions outlive old segments.
const (
	recordRun      = 1
	recordLine     = 2
	recordPosition = 3

	flagStderr  = 1
	flagPartial = 2
	flagNotice  = 4

	frameHeader = 8
)

var errFrame = errors.New("not a frame")

// record is one of the three kinds, which the unused fields are zero in.
type record struct {
	kind  byte
	index uint64

	pod     string
	restart uint32

	flags byte
	at    time.Time
	text  []byte

	inode, offset uint64
}

// frame is one that is being made.
type frame struct {
	b    []byte
	last int64
}

func newFrame() *frame { return &frame{b: make([]byte, frameHeader, 512)} }

func (f *frame) run(index uint64, pod string, restart uint32) {
	f.b = binary.AppendUvarint(append(f.b, recordRun), index)
	f.b = binary.AppendUvarint(f.b, uint64(restart))
	f.bytes([]byte(pod))
}

func (f *frame) line(index uint64, flags byte, at time.Time, text []byte) {
	f.b = binary.AppendUvarint(append(f.b, recordLine), index)
	f.b = append(f.b, flags)
	f.b = binary.AppendVarint(f.b, at.UnixNano()-f.last)
	f.last = at.UnixNano()
	f.bytes(text)
}

func (f *frame) position(index, inode, offset uint64) {
	f.b = binary.AppendUvarint(append(f.b, recordPosition), index)
	f.b = binary.AppendUvarint(f.b, inode)
	f.b = binary.AppendUvarint(f.b, offset)
}

func (f *frame) bytes(b []byte) {
	f.b = append(binary.AppendUvarint(f.b, uint64(len(b))), b...)
}

// done returns the frame's bytes.
func (f *frame) done() []byte {
	binary.LittleEndian.PutUint32(f.b, uint32(len(f.b)-frameHeader))
	binary.LittleEndian.PutUint32(f.b[4:], crc32.Checksum(f.b[frameHeader:], crc32.MakeTable(crc32.Castagnoli)))
	return f.b
}

// cutFrame returns the records of the first frame in b, and its size; false if there is no whole one.
func cutFrame(b []byte) (records []byte, size int, ok bool) {
	size = frameSize(b)
	if size == 0 || size > len(b) {
		return nil, 0, false
	}
	records = b[frameHeader:size]
	return records, size, crc32.Checksum(records, crc32.MakeTable(crc32.Castagnoli)) == binary.LittleEndian.Uint32(b[4:])
}

// frameSize is the size of the first frame in b as its header has it, or 0 if no frame is as large.
func frameSize(b []byte) int {
	if len(b) < frameHeader {
		return 0
	}
	n := binary.LittleEndian.Uint32(b)
	if n > maxFrame {
		return 0
	}
	return frameHeader + int(n)
}

// readRecords calls visit with each record of a frame. Texts are part of b. It returns errFrame for what no frame has, visit's error otherwise.
func readRecords(b []byte, visit func(record) error) error {
	r := reader{b: b}
	var last int64
	for len(r.b) > 0 && !r.bad {
		rec := record{kind: r.b[0]}
		r.b = r.b[1:]
		rec.index = r.number()
		switch rec.kind {
		case recordRun:
			rec.restart, rec.pod = uint32(r.number()), string(r.bytes())
		case recordLine:
			rec.flags = r.byte()
			last += r.signed()
			rec.at, rec.text = time.Unix(0, last), r.bytes()
		case recordPosition:
			rec.inode, rec.offset = r.number(), r.number()
		default:
			r.bad = true
		}
		if r.bad {
			break
		}
		if err := visit(rec); err != nil {
			return err
		}
	}
	if r.bad {
		return errFrame
	}
	return nil
}

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

// skip takes n bytes off; a varint that is none has no positive length.
func (r *reader) skip(n int) {
	if n <= 0 {
		r.bad, r.b = true, nil
		return
	}
	r.b = r.b[n:]
}

func (r *reader) bytes() []byte {
	n := r.number()
	if r.bad || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
