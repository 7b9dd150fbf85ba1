package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	car "github.com/ipld/go-car/v2"
	"github.com/ipld/go-car/v2/blockstore"
	"github.com/multiformats/go-multicodec"
)

// The file name says the form; scripts/interop.mjs knows what to expect of each.
func writeForms(from, folder string) error {
	stored := map[string][]car.Option{
		"stored-v1.car":           {car.WriteAsCarV1(true)},
		"stored-v2.car":           {},
		"stored-v2-padded.car":    {car.UseDataPadding(1413), car.UseIndexPadding(42)},
		"stored-v2-sorted.car":    {car.UseIndexCodec(multicodec.CarIndexSorted)},
		"stored-v2-identity.car":  {car.StoreIdentityCIDs(true)},
		"stored-v2-whole-cid.car": {blockstore.UseWholeCIDs(true)},
	}
	for name, options := range stored {
		if err := store(from, filepath.Join(folder, name), options); err != nil {
			return err
		}
	}
	wrapped := filepath.Join(folder, "wrapped-v2.car")
	if err := car.WrapV1File(from, wrapped); err != nil {
		return err
	}
	if err := car.ExtractV1File(wrapped, filepath.Join(folder, "extracted-v1.car")); err != nil {
		return err
	}
	if err := convert(from, filepath.Join(folder, "wrapped-v2-sorted.car"), wrapSorted); err != nil {
		return err
	}
	return convert(from, filepath.Join(folder, "wrapped-v2-no-index.car"), wrapBare)
}

func wrapSorted(in *os.File, out io.Writer) error {
	return car.WrapV1(in, out, car.UseIndexCodec(multicodec.CarIndexSorted))
}

// wrapBare: go-car reads a CARv2 without an index, but has no function that writes one.
func wrapBare(in *os.File, out io.Writer) error {
	stats, err := in.Stat()
	if err != nil {
		return err
	}
	header := car.NewHeader(uint64(stats.Size()))
	header.IndexOffset = 0
	if _, err := out.Write(car.Pragma); err != nil {
		return err
	}
	if _, err := header.WriteTo(out); err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return err
}

// store puts the blocks of a CAR one by one into a blockstore, which is a CAR file.
func store(from, to string, options []car.Option) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	reader, err := car.NewBlockReader(in)
	if err != nil {
		return err
	}
	blocks, err := blockstore.OpenReadWrite(to, reader.Roots, options...)
	if err != nil {
		return err
	}
	for {
		block, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return blocks.Finalize()
		}
		if err == nil {
			err = blocks.Put(context.Background(), block)
		}
		if err != nil {
			blocks.Discard()
			return err
		}
	}
}
