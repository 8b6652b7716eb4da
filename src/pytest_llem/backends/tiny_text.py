"""The text that the tokenizer of ``tiny`` was trained on. Changing it changes the model: raise ``tiny.VERSION``."""

TEXT = """\
A watt is a rate and a joule is an amount. A lamp of ten watts turns ten joules into light and heat every second, and
whoever wants to know what an evening of reading costs must know for how long the lamp was on. The same is true of a
processor that writes text one token after another: its power says how hard it works now, its energy says what the
whole answer took.

The first step of an answer is unlike all the others. The model reads the complete prompt at once, and large matrices
meet many rows, so the arithmetic units are busy and the memory can rest. After that, every new token needs all of the
weights again for a single row. Now the memory is busy and the arithmetic waits. Engineers call the first part prefill
and the second part decoding, and they measure them apart, because a change that helps one of them may hurt the other.

When several people ask at the same moment, their answers can be written side by side. The weights are fetched once and
used for everybody, so each person's token becomes cheaper, although each of them may wait a little longer. That is why
batching matters more than almost anything else. A batch of sixty-four does not cost sixty-four times as much as a batch
of one; often it costs hardly twice as much.

Good measurements are patient. The machine is left alone until it is quiet, and the meter is started before the work
begins and stopped after it has ended. The first rounds are thrown away, since compilers, caches and clocks need time to
settle. Then the same work is done again and again, and the results are compared. If they agree, their mean is worth
writing down. If they do not agree, the disagreement itself is the result, and somebody should ask where it came from.

Rivers were once measured with a stick, a float and a clock. You marked two points on the bank, threw in an apple, and
counted how long it took to drift from one to the other. The apple did not need to know anything about water. In that
way, a program that is being measured should not measure itself. It only needs to say: here I began, and here I stopped.

Numbers want company. Ten thousand tokens mean little without the seconds they took; 512 tokens in 4.25 seconds are a
speed; 0.038 joules for each of them are a price. A price without its uncertainty is a rumour. Write 0.038 plus or minus
0.002, name the device, the temperature, the versions of the libraries, the size of the batch, and a reader in another
town can repeat what you did tomorrow, next year, or in 2035.

Heat is where every joule ends. Fans push warm air out of the rack, pumps carry it to the roof, and in winter a wise
building keeps its offices comfortable with it. A hot chip leaks more current than a cold one, so the third hour of an
experiment may look worse than the first although nothing else has changed. Shuffle the order of your experiments, leave
short breaks between them, and such a drift becomes visible instead of hiding behind the question you wanted to ask.

Questions for a small machine: How many bridges cross the river? Who baked the bread? Why does the kettle sing before it
boils? List three birds, two trees and one kind of stone. Translate "good morning" into a language you like. Write a
function, `def area(width, height): return width * height`, and explain what it returns. Sum up the story of the fox and
the grapes in one sentence; do not use the word "sour"!

for item in items:
    total += item.price * item.count
    if total > limit:
        raise ValueError("too much")

{"name": "example", "values": [1, 2, 3], "valid": true, "note": null}
"""
