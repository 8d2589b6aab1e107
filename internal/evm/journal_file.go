// SPDX-License-Identifier: Apache-2.0

package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/apocryph/apocryph/internal/fault"
	"github.com/apocryph/apocryph/internal/span"
)

// fileJournal is a Journal in a file of mode 0600. A file beside it is what processes lock: the journal itself is replaced as a whole.
type fileJournal struct {
	path string
	wait func(context.Context, time.Duration) error
}

// NewFileJournal returns the journal in a file, which need not exist. One wallet on one chain needs one file, wherever it is used from.
func NewFileJournal(path string) Journal { return &fileJournal{path: path, wait: span.Wait} }

const (
	// lockPoll is the time between two attempts to lock, lockPatience how long another process is waited for.
	lockPoll, lockPatience = 100 * time.Millisecond, 30 * time.Second
)

// Lock implements Journal with an advisory lock, which ends with the process that has it.
func (j *fileJournal) Lock(ctx context.Context) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(j.path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(j.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the wallet: %w", err)
	}
	for waited := time.Duration(0); ; waited += lockPoll {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("locking the wallet: %w", err), f.Close())
		}
		if waited >= lockPatience {
			err = context.DeadlineExceeded
		} else {
			err = j.wait(ctx, lockPoll)
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrBusy, err)
			return nil, errors.Join(fault.Hint(err, "wait until the other command of this wallet has ended"), f.Close())
		}
	}
}

// Load implements Journal.
func (j *fileJournal) Load() (*Entry, error) {
	content, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the wallet's journal: %w", err)
	}
	e := new(Entry)
	if err := json.Unmarshal(content, e); err != nil {
		return nil, fmt.Errorf("reading the wallet's journal %s: %w: %w", j.path, ErrJournal, err)
	}
	return e, nil
}

// Save implements Journal.
func (j *fileJournal) Save(e *Entry) error {
	if err := j.save(e); err != nil {
		return fmt.Errorf("writing the wallet's journal: %w", err)
	}
	return nil
}

func (j *fileJournal) save(e *Entry) (err error) {
	dir := filepath.Dir(j.path)
	if e == nil {
		if err := os.Remove(j.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return syncDir(dir)
	}
	content, err := json.Marshal(e)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".journal-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(append(content, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), j.path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
