"""Which generator or which test holds each public name: operations, tools, layers, optimisers, NumPy's functions."""

from __future__ import annotations

import functools
import re
import types
from collections.abc import Iterator

import tinygrad_rnn as tg
from helpers.random import arrays, elementwise, graphs, parts, stories
from helpers.random import cells as cells_at_random
from tinygrad_rnn.engine.numpy_protocol import FUNCTIONS, UFUNCS

ROOMS = {"tg": tg, "tg.nn": tg.nn, "tg.optim": tg.optim, "tg.data": tg.data, "tg.models": tg.models,
         "tg.train": tg.train, "tg.init": tg.init}  # fmt: skip


def public() -> Iterator[str]:
    """Every name that users may call, by the path that they write."""
    for where, room in ROOMS.items():
        for name in getattr(room, "__all__", None) or [name for name in vars(room) if not name.startswith("_")]:
            imported = room is not tg and getattr(vars(room)[name], "__module__", "") == "tinygrad_rnn.errors"
            if not isinstance(vars(room)[name], types.ModuleType) and _is_ours(vars(room)[name]) and not imported:
                yield f"{where}.{name}"
    for name in vars(tg.Tensor):
        if not name.startswith("_") or callable(vars(tg.Tensor)[name]):
            yield f"tg.Tensor.{name}"
    for function in [*FUNCTIONS, *UFUNCS]:
        yield numpy_name(function)


def _is_ours(value: object) -> bool:
    """Not something that a module has imported for itself."""
    module = getattr(value, "__module__", None) or type(value).__module__
    return callable(value) and module.startswith("tinygrad_rnn")


def numpy_name(function: object) -> str:
    if isinstance(function, str):
        return f"scipy.special.{function}"
    if isinstance(function, tuple):
        return f"{numpy_name(function[0])}.{function[1]}"
    linear = getattr(function, "__module__", "") == "numpy.linalg"
    return f"np.{'linalg.' * linear}{function.__name__}"  # type: ignore[attr-defined]


#: Names that no generator writes, and the test that states what they promise. Of several tests one is named. A third
#: word is what the test calls it.
TABLE = """
tg.draw draw/test_draw.py::test_what_cannot_be_drawn_is_refused
tg.Error test_errors.py::test_refusals_are_both errors
tg.RenderError draw/test_draw.py::test_an_unknown_format_leaves_what_was_there
tg.CheckError check/test_check_backward.py::test_a_mistake_is_caught_and_its_consequences_are_told
tg.check_backward check/test_check_backward.py::test_the_right_one_is_right
tg.plan sequence/test_plan.py::test_a_cell_that_does_more_than_compute_runs_eagerly
tg.PlanError sequence/test_plan.py::test_a_cell_that_does_more_than_compute_runs_eagerly
tg.check_loss check/test_debugger.py::test_gradients_are_matched_by_order_and_what_fits_no_input_is_left_alone
tg.check_gradients check/test_check_gradients.py::test_every_cell_is_right
tg.check_layer check/test_check_layer.py::test_a_right_layer_is_right
tg.GraphError sequence/test_carry.py::test_the_second_backward_names_the_state_it_came_through
tg.ShapeError cells/test_cell_errors.py::test_inputs_that_do_not_fit
tg.Cell cells/test_wrappers.py::test_a_wrapped_cell_is_a_cell
tg.draw_masks cells/test_dropout.py::test_masks_hold_for_the_whole_sequence
tg.NanError engine/test_debug.py::test_the_log_of_a_negative_number
tg.trace_nans engine/test_debug.py::test_the_log_of_a_negative_number
tg.gradient_flow flow/test_flow.py::test_dh_is_the_gradient_by_the_state_after_each_step
tg.gate_values flow/test_gate_values.py::test_the_gates_of_an_lstm_are_those_of_a_loop
tg.derive derive/test_derive.py::test_the_printed_code_equals_autograd
tg.DeriveError derive/test_derive.py::test_what_cannot_be_derived_is_refused
tg.MutationError random/test_stories.py::test_an_error_without_a_write_is_noticed
tg.trace_mutations engine/test_debug.py::test_a_write_that_the_library_cannot_see
tg.nn.Recurrent nn/test_recurrent.py::test_it_says_what_it_holds
tg.optim.SGD random/test_stories.py::test_statements_are_of_every_kind
np.copyto engine/test_numpy_protocol.py::test_functions_that_write_into_arrays_are_refused
np.place engine/test_numpy_protocol.py::test_functions_that_write_into_arrays_are_refused
np.put engine/test_numpy_protocol.py::test_functions_that_write_into_arrays_are_refused
np.putmask engine/test_numpy_protocol.py::test_functions_that_write_into_arrays_are_refused
np.put_along_axis engine/test_numpy_protocol.py::test_functions_that_write_into_arrays_are_refused
np.fill_diagonal engine/test_numpy_protocol.py::test_functions_that_write_into_arrays_are_refused
scipy.special.expit engine/test_numpy_protocol.py::test_functions_of_scipy_record
scipy.special.erf engine/test_numpy_protocol.py::test_functions_of_scipy_record
tg.nn.Embedding nn/test_layers.py::test_embedding_gives_the_rows_of_its_matrix
tg.nn.Linear nn/test_layers.py::test_linear_is_x_W_plus_b_and_so_are_its_gradients
tg.nn.Module nn/test_module.py::test_every_layer_is_a_module_with_float32_parameters
tg.nn.Buffer nn/test_modes.py::test_a_buffer_stays_one_when_it_is_assigned
tg.nn.Summary nn/test_summary.py::test_rows_have_shapes_parameters_and_bytes summary
tg.nn.Dropout nn/test_dropout_norm.py::test_in_training_elements_are_zero_or_scaled_and_in_evaluation_unchanged
tg.nn.VariationalDropout nn/test_dropout_norm.py::test_a_variational_mask_holds_for_all_steps_and_differs_between_rows
tg.nn.LayerNorm nn/test_torch_layers.py::test_layer_norm
tg.nn.BatchNorm nn/test_torch_layers.py::test_batch_norm_with_running_statistics_over_steps
tg.nn.Sequential nn/test_stacked.py::test_sequential_is_one_layer_after_another_and_passes_lengths_on
tg.nn.LastStep nn/test_stacked.py::test_last_step_reads_the_last_output_of_each_row
tg.nn.Stacked nn/test_stacked.py::test_stacked_is_the_loop_of_its_docstring
tg.nn.Bidirectional nn/test_stacked.py::test_bidirectional_outputs_are_those_of_each_row_alone
tg.nn.Attention nn/test_seq2seq.py::test_attention_is_its_equations_in_loops
tg.nn.Encoder nn/test_torch_layers.py::test_encoder_and_peeky_decoder_with_attention
tg.nn.Encoded nn/test_seq2seq.py::test_a_bidirectional_encoder_feeds_a_decoder_of_its_width encoder
tg.nn.Decoder nn/test_torch_layers.py::test_encoder_and_peeky_decoder_with_attention
tg.init.Fan cells/test_initializers.py::test_the_fan_is_the_axis_that_the_product_sums init
tg.train.History train/test_fit.py::test_the_history_has_the_means_over_the_targets
tg.train.Position train/test_fit.py::test_a_training_that_is_stopped_and_continued_is_the_same_bit_for_bit
tg.optim.Optimizer optim/test_optimizers.py::test_parameters_come_as_a_dict_a_list_a_generator_or_a_module
tg.optim.clip_grad_norm optim/test_clip.py::test_gradients_are_scaled_by_one_factor_to_the_norm
tg.optim.grad_norm optim/test_clip.py::test_no_gradient_at_all_has_norm_0
tg.optim.clip_grad_value optim/test_clip.py::test_values_are_limited_each_by_itself
tg.optim.ASGD optim/test_averaged_sgd.py::test_after_the_trigger_the_average_is_the_mean_from_its_second_step_on
tg.optim.AdaGrad optim/test_optimizers.py::test_an_optimiser_is_its_formula
tg.optim.RMSprop optim/test_optimizers.py::test_an_optimiser_is_its_formula
tg.optim.Rprop optim/test_optimizers.py::test_an_optimiser_is_its_formula
tg.optim.Constant optim/test_schedules.py::test_the_learning_rate_of_each_step
tg.optim.StepDecay optim/test_schedules.py::test_the_learning_rate_of_each_step
tg.optim.Cosine optim/test_schedules.py::test_the_learning_rate_of_each_step
tg.optim.WarmUp optim/test_schedules.py::test_the_learning_rate_of_each_step
tg.optim.ReduceOnPlateau optim/test_schedules.py::test_no_better_means_divided
tg.optim.Schedule optim/test_schedules.py::test_a_schedule_of_a_user
tg.optim.AdamW optim/test_optimizers.py::test_an_optimiser_is_its_formula
tg.data.Batches data/test_batches.py::test_every_example_is_in_one_batch_of_an_epoch batches
tg.data.Corpus data/test_corpus.py::test_encode_inverts_decode
tg.data.Grammar data/test_grammar.py::test_the_documented_numbers
tg.data.Splits data/test_ptb.py::test_any_folder_of_three_texts_is_loaded splits
tg.data.Reading data/test_entropy.py::test_the_reader_pays_what_the_forward_algorithm_pays read
tg.data.Windows data/test_windows.py::test_all_windows_but_the_tail_are_full
tg.data.batches data/test_batches.py::test_every_example_is_in_one_batch_of_an_epoch
tg.data.draw_rows data/test_windows.py::test_a_picture_has_each_row_at_its_offset
tg.data.grammar data/test_grammar.py::test_a_seed_is_a_text_forever
tg.data.grammar_entropy data/test_entropy.py::test_a_perplexity_is_the_exponential_of_an_entropy
tg.data.load data/test_ptb.py::test_any_folder_of_three_texts_is_loaded
tg.data.map_text data/test_mapped.py::test_a_mapped_text_is_the_text_that_is_read
tg.data.open_map data/test_mapped.py::test_a_mapped_text_is_the_text_that_is_read map_text
tg.data.pad data/test_batches.py::test_padding_is_the_loop_of_its_docstring
tg.data.plot_rows data/test_windows.py::test_a_plot_has_a_box_for_each_window_where_it_lies
tg.data.ptb data/test_ptb.py::test_the_folder_is_an_argument_or_a_variable
tg.data.read_text data/test_text.py::test_only_words_and_line_ends_count
tg.data.windows data/test_windows.py::test_all_windows_but_the_tail_are_full
tg.models.LanguageModel train/test_fit.py::test_a_gradient_that_is_not_finite_raises_before_it_changes_anything
tg.models.SimpleRnnlm models/test_models.py::test_a_language_model_is_that_of_the_book
tg.models.Rnnlm models/test_models.py::test_a_language_model_is_that_of_the_book
tg.models.BetterRnnlm models/test_models.py::test_dropout_is_below_between_and_above_the_layers
tg.models.Classifier models/test_models.py::test_a_classifier_learns_the_sentiment_of_reviews
tg.models.Tagger models/test_models.py::test_a_tagger_needs_both_directions
tg.models.OneToMany models/test_models.py::test_one_to_many_writes_as_many_ones_as_it_is_shown
tg.models.CountingNetwork models/test_models.py::test_the_counting_network_of_the_notes
tg.models.Seq2seq models/test_seq2seq.py::test_the_loss_and_its_gradients_are_those_of_pytorch
tg.train.Progress train/test_fit.py::test_every_batch_and_every_epoch_are_reported
tg.train.mean_loss train/test_evaluate.py::test_a_label_of_minus_1_is_no_target
tg.train.plot_histories train/test_fit.py::test_a_plot_of_several_trainings_has_a_line_for_each
tg.train.stream train/test_evaluate.py::test_a_stream_is_what_generate_draws
tg.train.fit train/test_fit.py::test_fit_is_the_loop_of_its_docstring_bit_for_bit
tg.train.generate train/test_evaluate.py::test_words_come_as_often_as_the_model_says
tg.train.load_model train/test_store.py::test_a_model_comes_back_bit_for_bit
tg.train.perplexity data/test_entropy.py::test_a_perplexity_is_the_exponential_of_an_entropy
tg.train.save_model train/test_store.py::test_a_model_comes_back_bit_for_bit
tg.init.draw cells/test_initializers.py::test_schemes_by_name_number_function_and_array init
tg.init.draw_blocks cells/test_initializers.py::test_forget_bias_is_one_where_it_is_asked_for init
tg.init.book cells/test_initializers.py::test_schemes_by_name_number_function_and_array
tg.init.zeros cells/test_initializers.py::test_schemes_by_name_number_function_and_array
tg.init.embedding nn/test_layers.py::test_layers_start_as_in_the_book
tg.init.normal cells/test_initializers.py::test_schemes_by_name_number_function_and_array
tg.init.uniform cells/test_initializers.py::test_schemes_by_name_number_function_and_array
tg.init.xavier cells/test_initializers.py::test_schemes_by_name_number_function_and_array
tg.init.he cells/test_initializers.py::test_schemes_by_name_number_function_and_array
tg.init.orthogonal cells/test_initializers.py::test_schemes_by_name_number_function_and_array
"""
#: What the names of the classes and of the rooms are held by: tests beside this table.
HERE = {
    "test_a_tensor_is_a_python_object_as_an_array_is": "shape dtype ndim size item tolist name requires_grad node "
    "__len__ __iter__ __bool__ __int__ __index__ __contains__ __repr__ __hash__ __init__",
    "test_unique_values_are_numpys": "unique",
    "test_comparisons_on_an_outer_grid_are_numpys": "outer",
}
#: How the generators write what has no name.
SYNTAX = {
    "add": r"\w \+ ", "radd": r"\d \+ ", "sub": r"\w - ", "rsub": r"\d - v", "mul": r"\w \* ", "rmul": r"\d \* v",
    "truediv": r"\w / ", "rtruediv": r"\d / v", "neg": r"\(-v", "pos": r"\(\+v", "mod": r"\w % ", "rmod": r"\d % v",
    "pow": r"\w \*\* ", "rpow": r"\d \*\* v", "abs": r"\babs\(", "getitem": r"v\d+\[", "setitem": r"v\d+\[.*\] = ",
    "matmul": r"v\d+ @ ", "rmatmul": r"@ v", "floordiv": r"v\d+//", "rfloordiv": r"1//", "lt": "<", "le": " <= ",
    "gt": " > ", "ge": " >= ", "eq": " == ", "ne": " != ", "iadd": r"\+= ", "isub": "-= ", "imul": r"\*= ",
    "itruediv": "/= ", "imatmul": "@= ", "ipow": r"\*\*= ", "imod": "%= ",
}  # fmt: skip


WORD = re.compile(r"\b(?:tg|F|np)\.[a-zA-Z_][\w.]*")
METHOD = re.compile(r"(?<=\w|\)|\])\.([a-zA-Z]\w*)")


@functools.cache
def generated() -> dict[str, None]:
    """The names that the generators write."""
    texts = [" ".join(elementwise.PLAIN).format(x="v0")]
    texts += [form for spec in elementwise.UNARY + elementwise.BINARY for form in elementwise.forms(spec)]
    texts += [f"v0 {symbol}= v1" for symbol in parts.IN_PLACE]
    texts += [f"v0 {symbol} v1" for symbol in elementwise.SYMBOLS] + [f"np.{name}.reduce" for name in arrays.REDUCED]
    for name in graphs.PRODUCTIONS:
        for seed in range(8):
            program = graphs.build(seed, name)
            texts += [*program.preamble, *(f"{line.ours} # tg.{line.subject}" for line in program.lines)]
    texts += [line.ours for seed in range(40) for line in cells_at_random.build(seed).lines]
    texts += [stories.told(seed) for seed in range(80)]
    whole = "\n".join(texts)
    names = dict.fromkeys(word.replace("F.", "tg.", 1) for word in WORD.findall(whole))
    names.update(dict.fromkeys(f"tg.Tensor.{method}" for method in METHOD.findall(whole)))
    names.update(dict.fromkeys(f"tg.Tensor.__{n}__" for n, pattern in SYNTAX.items() if re.search(pattern, whole)))
    return names


def where() -> dict[str, str]:
    """Every public name, and what holds it; "" if nothing does."""
    table = {line.split()[0]: line.split()[1] for line in TABLE.strip().splitlines()}
    here = {name: f"random/test_public_names.py::{test}" for test, names in HERE.items() for name in names.split()}
    found = {}
    for name in public():
        last = name.rsplit(".", 1)[1] if name.startswith(("tg.Tensor.", "np.")) else ""
        found[name] = "random graphs" if name in generated() else table.get(name) or here.get(last, "")
    return found

