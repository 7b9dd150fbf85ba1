package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"filippo.io/age"
)

func makeKey(path string) error {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return err
	}
	fmt.Println(identity.Recipient())
	return os.WriteFile(path, []byte("# made by age\n"+identity.String()+"\n"), 0o600)
}

func encrypt(recipient, from, to string) error {
	public, err := age.ParseX25519Recipient(recipient)
	if err != nil {
		return err
	}
	return convert(from, to, func(in *os.File, out io.Writer) error {
		sealed, err := age.Encrypt(out, public)
		if err != nil {
			return err
		}
		if _, err := io.Copy(sealed, in); err != nil {
			return err
		}
		return sealed.Close()
	})
}

func decrypt(identityFile, from, to string) error {
	keys, err := os.Open(identityFile)
	if err != nil {
		return err
	}
	defer keys.Close()
	identities, err := age.ParseIdentities(keys)
	if err != nil {
		return err
	}
	return convert(from, to, func(in *os.File, out io.Writer) error {
		plain, err := age.Decrypt(in, identities...)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, plain)
		return err
	})
}

func convert(from, to string, work func(*os.File, io.Writer) error) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(work(in, out), out.Close())
}
