#!/bin/sh
# Makes lib/format/sentencepiece.pb-c.[ch] from sentencepiece.proto by protoc-c (Debian: protobuf-c-compiler). Builds without protobuf-c leave them empty.
set -e
cd "$(dirname "$0")/../lib/format"
protoc-c --c_out=. sentencepiece.proto
for file in sentencepiece.pb-c.h sentencepiece.pb-c.c; do
    { echo "/* Made by scripts/make_protobuf.sh from sentencepiece.proto: do not edit. */"
      echo "#ifdef PM_HAVE_PROTOBUF"
      cat "$file"
      echo "#else"
      echo "typedef int pm_no_protobuf_$(echo "$file" | tr -c 'a-z\n' _);"
      echo "#endif"; } > "$file.new"
    mv "$file.new" "$file"
done
