map({id, name, tags: (.tags | sort | join("/")), score: (.score * 1.5 | floor), square: .nested.a[1]})
| group_by(.tags)
| map({tags: .[0].tags, count: length, sum: (map(.score) | add), best: max_by(.score).name,
       first: (.[0].name | ascii_upcase | test("RECORD [0-9]+"))})
