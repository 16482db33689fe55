words := $(shell head -c 400 text)
list := $(foreach w,$(sort $(words)),$(patsubst %e,%E,$w))
all: a b c ; @echo $(words $(list)) $(firstword $(list)) $^
a b: ; @echo making $@ > $@; cat $@
c: a b ; @cat $^ > $@; wc -l < $@
