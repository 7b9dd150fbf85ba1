package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	blocks "github.com/ipfs/go-block-format"
	car "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"
	"github.com/ipld/go-car/v2/index"
	"github.com/multiformats/go-multicodec"
	"github.com/multiformats/go-multihash"
)

// What the sidecar of a CAR says of it.
type sidecar struct {
	Checkpoint string `json:"checkpoint_cid"`
	Version    uint64 `json:"car_version"`
	Blocks     uint64 `json:"blocks"`
	SizeBytes  int64  `json:"size_bytes"`
	Sha256     string `json:"sha256"`
}

// checkFolder checks NAME-v1.car and NAME-v2.car alone, and then that they say the same.
func checkFolder(folder string) error {
	firsts, err := filepath.Glob(filepath.Join(folder, "*-v1.car"))
	if err != nil {
		return err
	}
	if len(firsts) == 0 {
		return fmt.Errorf("no CAR to check in %s", folder)
	}
	for _, v1 := range firsts {
		v2 := strings.TrimSuffix(v1, "-v1.car") + "-v2.car"
		for _, path := range []string{v1, v2} {
			report(path, "is what its sidecar says, every block hashed", checkSidecar(path))
			report(path, "is refused with a flipped bit", checkFlipped(path))
		}
		report(v2, "holds the bytes of the CARv1", checkPayload(v1, v2))
		report(v2, "has a sorted multihash index, byte for byte as go-car makes it", checkIndex(v2))
		report(v2, "has every block of the CARv1 where its index says", checkPlaces(v1, v2))
		report(v2, "gives every block of the CARv1 as a blockstore", checkStore(v1, v2))
	}
	return nil
}

func report(path, what string, err error) {
	if err != nil {
		fmt.Printf("FAILED go-car: %s %s: %v\n", filepath.Base(path), what, err)
		return
	}
	fmt.Printf("ok go-car: %s %s\n", filepath.Base(path), what)
}

func checkSidecar(path string) error {
	text, err := os.ReadFile(strings.TrimSuffix(path, ".car") + ".json")
	if err != nil {
		return err
	}
	var said sidecar
	if err := json.Unmarshal(text, &said); err != nil {
		return err
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(file)
	stats, err := inspect(file)
	if err != nil {
		return err
	}
	switch {
	case int64(len(file)) != said.SizeBytes || hex.EncodeToString(hash[:]) != said.Sha256:
		return errors.New("size or sha256 differ")
	case stats.Version != said.Version:
		return fmt.Errorf("version %d, not %d", stats.Version, said.Version)
	case stats.BlockCount != said.Blocks || said.Blocks == 0:
		return fmt.Errorf("%d blocks, not %d", stats.BlockCount, said.Blocks)
	case len(stats.Roots) != 1 || !stats.RootsPresent || stats.Roots[0].String() != said.Checkpoint:
		return fmt.Errorf("roots %v, not %s", stats.Roots, said.Checkpoint)
	case stats.MhTypeCounts[multicodec.Sha2_256] != stats.BlockCount:
		return fmt.Errorf("hash functions %v", stats.MhTypeCounts)
	case stats.Version == 2 && stats.IndexCodec != multicodec.CarMultihashIndexSorted:
		return fmt.Errorf("index codec %v", stats.IndexCodec)
	}
	return nil
}

func inspect(file []byte) (car.Stats, error) {
	reader, err := car.NewReader(bytes.NewReader(file))
	if err != nil {
		return car.Stats{}, err
	}
	return reader.Inspect(true)
}

// checkFlipped shows that checkSidecar could fail: the last byte of the blocks belongs to one.
func checkFlipped(path string) error {
	file, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	reader, err := car.NewReader(bytes.NewReader(file))
	if err != nil {
		return err
	}
	end := uint64(len(file))
	if reader.Version == 2 {
		end = reader.Header.DataOffset + reader.Header.DataSize
	}
	file[end-1] ^= 1
	if _, err := inspect(file); err == nil {
		return errors.New("it was accepted")
	}
	return nil
}

func checkPayload(v1, v2 string) error {
	whole, err := os.ReadFile(v1)
	if err != nil {
		return err
	}
	payload, _, err := open(v2)
	if err == nil && !bytes.Equal(whole, payload) {
		err = errors.New("they differ")
	}
	return err
}

// open gives the CARv1 in a CARv2, and its own index.
func open(path string) ([]byte, index.Index, error) {
	reader, err := car.OpenReader(path)
	if err != nil {
		return nil, nil, err
	}
	defer reader.Close()
	data, err := reader.DataReader()
	if err != nil {
		return nil, nil, err
	}
	payload, err := io.ReadAll(data)
	if err != nil {
		return nil, nil, err
	}
	written, err := reader.IndexReader()
	if err != nil {
		return nil, nil, err
	}
	own, err := index.ReadFrom(written)
	return payload, own, err
}

func checkIndex(path string) error {
	payload, own, err := open(path)
	if err != nil {
		return err
	}
	sorted, ok := own.(*index.MultihashIndexSorted)
	if !ok {
		return fmt.Errorf("it has a %T", own)
	}
	var last []byte
	err = sorted.ForEach(func(hash multihash.Multihash, _ uint64) error {
		if last != nil && bytes.Compare(last, hash) >= 0 {
			return errors.New("it is not sorted")
		}
		last = hash
		return nil
	})
	if err != nil {
		return err
	}
	made, err := car.GenerateIndex(bytes.NewReader(payload))
	if err != nil {
		return err
	}
	var ours, theirs bytes.Buffer
	_, err = index.WriteTo(own, &ours)
	if _, other := index.WriteTo(made, &theirs); err != nil || other != nil {
		return errors.Join(err, other)
	}
	file, err := os.ReadFile(path)
	switch {
	case err != nil:
		return err
	case !bytes.Equal(ours.Bytes(), theirs.Bytes()):
		return errors.New("it differs")
	case !bytes.HasSuffix(file, theirs.Bytes()):
		return errors.New("the file does not end with it")
	}
	return nil
}

// checkPlaces looks each block up in the index alone, and reads the section there.
func checkPlaces(v1, v2 string) error {
	payload, own, err := open(v2)
	if err != nil {
		return err
	}
	return eachBlock(v1, func(block blocks.Block) error {
		var places []uint64
		err := own.GetAll(block.Cid(), func(place uint64) bool {
			places = append(places, place)
			return true
		})
		if err == nil && len(places) != 1 {
			err = fmt.Errorf("it has the places %v", places)
		}
		if err != nil {
			return err
		}
		return sectionIs(payload, places[0], block)
	})
}

// sectionIs: length of what follows, CID, bytes.
func sectionIs(payload []byte, place uint64, block blocks.Block) error {
	content := append(block.Cid().Bytes(), block.RawData()...)
	section := bytes.NewReader(payload[min(place, uint64(len(payload))):])
	length, err := binary.ReadUvarint(section)
	if err != nil {
		return err
	}
	found := make([]byte, len(content))
	if _, err := io.ReadFull(section, found); err != nil {
		return err
	}
	if length != uint64(len(content)) || !bytes.Equal(found, content) {
		return fmt.Errorf("the section at %d is another", place)
	}
	return nil
}

func checkStore(v1, v2 string) error {
	store, err := blockstore.OpenReadOnly(v2)
	if err != nil {
		return err
	}
	defer store.Close()
	read := 0
	err = eachBlock(v1, func(block blocks.Block) error {
		read++
		found, err := store.Get(context.Background(), block.Cid())
		if err == nil && !bytes.Equal(found.RawData(), block.RawData()) {
			err = errors.New("its bytes differ")
		}
		return err
	})
	if err != nil {
		return err
	}
	keys, err := store.AllKeysChan(context.Background())
	if err != nil {
		return err
	}
	for range keys {
		read--
	}
	if read != 0 {
		return fmt.Errorf("it lists %d keys too few", read)
	}
	return nil
}

func eachBlock(path string, use func(blocks.Block) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	reader, err := car.NewBlockReader(file)
	if err != nil {
		return err
	}
	for {
		block, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = use(block)
		}
		if err != nil {
			return fmt.Errorf("after a block of %s: %w", filepath.Base(path), err)
		}
	}
}
