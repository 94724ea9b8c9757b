"""dotcart's model as anyone would write it in Keras: embeddings, biases, dot product, dense head; loss on logits.

Same start range, loss and optimiser: embeddings uniform in [-0.05, 0.05], biases 0, scale 1, bias 0, binary cross-entropy,
Adam with epsilon 1e-8 (Keras' own default is 1e-7). Keras' Adam on an embedding is dense: it moves every row at every step.
"""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

PINNED = ["keras==3.15.1", "tensorflow-cpu==2.21.0", "numpy==2.4.6"]


def compiled(users, products, dim, learning_rate, seed):
    """A model of (user, product) that answers a logit, ready to fit."""
    import keras
    from keras import initializers, layers

    keras.utils.set_random_seed(seed)
    user = keras.Input((), dtype="int32")
    product = keras.Input((), dtype="int32")

    def table(rows, columns, start):
        return layers.Embedding(rows, columns, embeddings_initializer=start)

    def uniform(offset):
        return initializers.RandomUniform(-0.05, 0.05, seed=seed + offset)

    affinity = layers.Add()(
        [
            layers.Dot(axes=1)([table(users, dim, uniform(1))(user), table(products, dim, uniform(2))(product)]),
            table(users, 1, "zeros")(user),
            table(products, 1, "zeros")(product),
        ]
    )
    logit = layers.Dense(1, kernel_initializer="ones", bias_initializer="zeros")(affinity)
    model = keras.Model([user, product], logit)
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, epsilon=1e-8),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model
